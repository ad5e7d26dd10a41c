import { useEffect, useRef, useState } from "react"
import { storageHealth } from "../device/storage-health.ts"
import { keepDraft, keptDraft } from "./kept-draft.ts"

export interface DraftOptions {
  readonly value: string
  /**
   * `seen` is the value as it was when somebody began to type. Resolves to false if the text could not be saved: the
   * draft then stays.
   */
  readonly save: (text: string, seen: string) => Promise<boolean>
  /** A permanent name for the field, so that text typed in the very moment of a reload is still there afterwards. */
  readonly keepAs?: string | undefined
}

export interface Draft {
  readonly text: string
  type(text: string): void
  flush(): Promise<void>
}

interface Typed {
  readonly text: string
  readonly seen: string
  /** The value shown when the text was stored: the draft ends once that value changes. */
  readonly storedOver?: string
}

const SAVE_AFTER_MS = 400
const TRY_AGAIN_AFTER_MS = 2_000
/** A value that is stored as a different one, such as an empty name, never comes back as it was typed. */
const SHOWN_WITHIN_MS = 1_000

/** Text that follows the stored value until someone types, and that is saved while they type. */
export function useDraft({ value, save, keepAs }: DraftOptions): Draft {
  const [draft, setDraft] = useState<Typed | null>(() => keptDraft(keepAs))
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  const latest = useRef({ draft, save, value })
  latest.current.save = save
  latest.current.value = value

  function change(next: Typed | null): void {
    latest.current.draft = next
    setDraft(next)
  }

  async function flush(): Promise<void> {
    if (timer.current !== null) clearTimeout(timer.current)
    timer.current = null
    const saving = latest.current.draft
    if (saving === null || saving.storedOver !== undefined) return
    const saved = await latest.current.save(saving.text, saving.seen)
    if (!saved) {
      if (storageHealth.get().trouble === "full")
        timer.current ??= setTimeout(() => void flush(), TRY_AGAIN_AFTER_MS)
      return
    }
    const now = latest.current.draft
    // Someone typed on during the save, so the draft is newer and builds on what was stored.
    if (now !== saving) return change(now && { ...now, seen: saving.text })
    // Lists show stored text a moment later. Without the draft, the field would fall back to the old text until then.
    const done = { ...saving, storedOver: latest.current.value }
    change(done.text === done.storedOver ? null : done)
    setTimeout(() => latest.current.draft === done && change(null), SHOWN_WITHIN_MS)
  }

  const isShown = draft?.storedOver !== undefined && draft.storedOver !== value
  useEffect(() => {
    if (isShown) change(null)
  }, [isShown])

  useEffect(() => {
    // Nothing asynchronous finishes once the page goes: only this storage takes a text at once.
    const keep = (): void => {
      const { draft: typed } = latest.current
      if (typed !== null && typed.storedOver === undefined) keepDraft(keepAs, typed)
    }
    // Phones end pages that are out of sight without further notice.
    const hide = (): void => void (document.visibilityState === "hidden" && flush())
    addEventListener("pagehide", keep)
    document.addEventListener("visibilitychange", hide)
    if (latest.current.draft !== null) {
      keepDraft(keepAs, null)
      void flush()
    }
    return () => {
      removeEventListener("pagehide", keep)
      document.removeEventListener("visibilitychange", hide)
      void flush()
    }
  }, [keepAs])

  return {
    text: draft === null || isShown ? value : draft.text,
    type(text) {
      const { draft: before, value: shown } = latest.current
      const stored = before?.storedOver === undefined ? undefined : before.text
      change({ text, seen: stored ?? before?.seen ?? shown })
      timer.current ??= setTimeout(() => void flush(), SAVE_AFTER_MS)
    },
    flush,
  }
}
