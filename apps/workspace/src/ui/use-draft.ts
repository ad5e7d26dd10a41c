import { useEffect, useRef, useState } from "react"

export interface DraftOptions {
  readonly value: string
  /** Resolves to false when it could not be saved: the draft then stays. */
  readonly save: (text: string) => Promise<boolean>
  /** Names the field for good, so that what is typed in the very moment of a reload is there afterwards. */
  readonly keepAs?: string | undefined
}

export interface Draft {
  readonly text: string
  type(text: string): void
  flush(): Promise<void>
}

const SAVE_AFTER_MS = 400

/** Text that follows the stored value until someone types, and is saved shortly after they pause. */
export function useDraft({ value, save, keepAs }: DraftOptions): Draft {
  const [draft, setDraft] = useState<string | null>(() => kept(keepAs))
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  const latest = useRef<{ draft: string | null; save: DraftOptions["save"] }>({ draft, save })
  latest.current.save = save

  async function flush(): Promise<void> {
    if (timer.current !== null) clearTimeout(timer.current)
    timer.current = null
    const text = latest.current.draft
    if (text === null) return
    const saved = await latest.current.save(text)
    // Typed on while it was saved: then the draft is newer than what was stored.
    if (saved && latest.current.draft === text) {
      latest.current.draft = null
      setDraft(null)
    }
  }

  useEffect(() => {
    // Nothing asynchronous ends once the page goes: only this storage takes a text at once.
    const keep = (): void => {
      if (keepAs !== undefined && latest.current.draft !== null) tryStore(keepAs, latest.current.draft)
    }
    addEventListener("pagehide", keep)
    if (keepAs !== undefined && latest.current.draft !== null) {
      tryStore(keepAs, null)
      void flush()
    }
    return () => {
      removeEventListener("pagehide", keep)
      void flush()
    }
  }, [keepAs])

  return {
    text: draft ?? value,
    type(text) {
      latest.current.draft = text
      setDraft(text)
      if (timer.current !== null) clearTimeout(timer.current)
      timer.current = setTimeout(() => void flush(), SAVE_AFTER_MS)
    },
    flush,
  }
}

const PREFIX = "dunlin draft "

function kept(name: string | undefined): string | null {
  if (name === undefined) return null
  try {
    return sessionStorage.getItem(PREFIX + name)
  } catch {
    return null
  }
}

/** Storage may be refused or full; then the draft is lost with the page, as it always was. */
function tryStore(name: string, text: string | null): void {
  try {
    if (text === null) sessionStorage.removeItem(PREFIX + name)
    else sessionStorage.setItem(PREFIX + name, text)
  } catch {
    return
  }
}
