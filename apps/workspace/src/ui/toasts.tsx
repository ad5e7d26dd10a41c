import { createState } from "@dunlin/core"
import { useStateValue } from "@dunlin/react"

interface Toast {
  readonly id: number
  readonly text: string
  readonly action?: { readonly label: string; readonly run: () => void }
}

const SHOWN_MS = 6_000
const toasts = createState<readonly Toast[]>([])
let lastId = 0

/** Says in passing what happened, with at most one way to take it back. */
export function toast(text: string, action?: Toast["action"]): void {
  const entry: Toast = action ? { id: ++lastId, text, action } : { id: ++lastId, text }
  toasts.set([...toasts.get().slice(-2), entry])
  setTimeout(() => dismiss(entry.id), SHOWN_MS)
}

export function Toasts() {
  const shown = useStateValue(toasts, [])
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((entry) => (
        <div key={entry.id} className="toast">
          <span>{entry.text}</span>
          {entry.action && (
            <button
              type="button"
              onClick={() => {
                dismiss(entry.id)
                entry.action?.run()
              }}
            >
              {entry.action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  )
}

function dismiss(id: number): void {
  toasts.set(toasts.get().filter((entry) => entry.id !== id))
}
