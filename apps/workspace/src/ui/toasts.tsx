import { createState } from "@dunlin/core"
import { useStateValue } from "@dunlin/react"
import { useEffect, useState } from "react"

interface Toast {
  readonly id: number
  readonly text: string
  readonly action?: { readonly label: string; readonly run: () => void }
  /** Id of what it is about. */
  readonly about?: string
}

const SHOWN_MS = 6_000
const toasts = createState<readonly Toast[]>([])
let lastId = 0

/** Says in passing what happened, with at most one action to take it back. */
export function toast(text: string, action?: Toast["action"], about?: string): void {
  const entry: Toast = {
    id: ++lastId,
    text,
    ...(action && { action }),
    ...(about !== undefined && { about }),
  }
  toasts.set([...toasts.get().slice(-2), entry])
}

/** Takes back what is offered about something that is gone. */
export function dropToasts(about: string): void {
  toasts.set(toasts.get().filter((entry) => entry.about !== about))
}

export function Toasts() {
  const shown = useStateValue(toasts, [])
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((entry) => (
        <ToastLine key={entry.id} entry={entry} />
      ))}
    </div>
  )
}

/** Disappears by itself, but not while it is under a pointer or has the focus. */
function ToastLine({ entry: { id, text, action } }: { readonly entry: Toast }) {
  const [hovered, setHovered] = useState(false)
  const [focused, setFocused] = useState(false)
  const isHeld = hovered || focused
  useEffect(() => {
    if (isHeld) return
    const timer = setTimeout(() => dismiss(id), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [id, isHeld])
  return (
    <div className="toast" onPointerEnter={() => setHovered(true)} onPointerLeave={() => setHovered(false)} onFocus={() => setFocused(true)} onBlur={() => setFocused(false)}>
      <span>{text}</span>
      {action && (
        <button
          type="button"
          onClick={() => {
            dismiss(id)
            action.run()
          }}
        >
          {action.label}
        </button>
      )}
    </div>
  ) // prettier-ignore
}

function dismiss(id: number): void {
  toasts.set(toasts.get().filter((entry) => entry.id !== id))
}
