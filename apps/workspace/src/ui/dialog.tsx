import { useId, type ReactNode } from "react"
import { Icon } from "./icon.tsx"
import { useModal } from "./use-modal.ts"

export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
  readonly className?: string
}

/** A native modal dialog: the browser keeps the focus inside, closes on Escape and gives the focus back. */
export function Dialog({ title, onClose, children, className = "" }: DialogProps) {
  const dialog = useModal()
  const titleId = useId()
  return (
    // Browsers close a dialog without asking when Escape is pressed twice. A click outside is a shortcut for Escape and
    // the close button.
    <dialog ref={dialog} className={`dialog ${className}`} aria-labelledby={titleId} onCancel={(event) => { event.preventDefault(); onClose() }} onClose={() => dialog.current?.open === false && onClose()} onPointerDown={(event) => event.target === event.currentTarget && isOutside(event) && onClose()}>
      <header>
        <h2 id={titleId}>{title}</h2>
        <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div className="dialog-body">{children}</div>
    </dialog>
  ) // prettier-ignore
}

function isOutside({ clientX, clientY, currentTarget }: React.PointerEvent<HTMLElement>): boolean {
  const { left, right, top, bottom } = currentTarget.getBoundingClientRect()
  return clientX < left || clientX > right || clientY < top || clientY > bottom
}
