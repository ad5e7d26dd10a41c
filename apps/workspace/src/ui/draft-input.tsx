import { useEffect, useRef, useState, type ComponentProps } from "react"

export interface DraftInputProps extends Omit<ComponentProps<"input">, "value" | "onChange" | "ref"> {
  readonly value: string
  /** Resolves to false when it could not be saved: the draft then stays. */
  readonly save: (text: string) => Promise<boolean>
}

const SAVE_AFTER_MS = 400

/** An input that follows the stored value until someone types, and saves shortly after they pause. */
export function DraftInput({ value, save, onBlur, ...rest }: DraftInputProps) {
  const [draft, setDraft] = useState<string | null>(null)
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null)
  const latest = useRef<{ draft: string | null; save: DraftInputProps["save"] }>({ draft: null, save })
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

  useEffect(() => () => void flush(), [])

  return (
    <input
      {...rest}
      value={draft ?? value}
      onChange={(event) => {
        latest.current.draft = event.target.value
        setDraft(event.target.value)
        if (timer.current !== null) clearTimeout(timer.current)
        timer.current = setTimeout(() => void flush(), SAVE_AFTER_MS)
      }}
      onBlur={(event) => {
        void flush()
        onBlur?.(event)
      }}
    />
  )
}
