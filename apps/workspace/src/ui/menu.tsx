import {
  useId,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
  type ToggleEvent,
} from "react"

export interface MenuItem {
  readonly label: string
  readonly icon?: ReactNode
  readonly run: () => void
  readonly disabled?: boolean
  readonly danger?: boolean
}

export interface MenuProps {
  readonly label: string
  readonly items: readonly (MenuItem | "line")[]
  readonly button: ReactNode
  readonly className?: string
  readonly buttonProps?: Readonly<Record<`data-${string}`, string>>
  readonly tabIndex?: number
}

/** A button with a popover menu: arrows move, Escape and a click outside close (the browser's light dismiss). */
export function Menu({
  label,
  items,
  button,
  className = "icon-button",
  buttonProps = {},
  tabIndex,
}: MenuProps) {
  const id = useId()
  const [open, setOpen] = useState(false)
  const trigger = useRef<HTMLButtonElement>(null)
  const menu = useRef<HTMLDivElement>(null)

  // Without its items, the menu has neither a size nor anything to focus.
  useLayoutEffect(() => {
    if (!open || !trigger.current || !menu.current) return
    place(trigger.current, menu.current)
    menu.current.querySelector<HTMLElement>("button:not(:disabled)")?.focus()
  }, [open])

  function toggled(event: ToggleEvent<HTMLDivElement>): void {
    setOpen(event.newState === "open")
  }

  function choose(item: MenuItem): void {
    menu.current?.hidePopover()
    item.run()
  }

  return (
    <>
      <button {...buttonProps} ref={trigger} type="button" tabIndex={tabIndex} className={className} aria-label={label} aria-haspopup="menu" aria-expanded={open} popoverTarget={id}>
        {button}
      </button>
      <div ref={menu} id={id} role="menu" aria-label={label} className="menu" popover="auto" onToggle={toggled} onKeyDown={moveFocus}>
        {open && items.map((item, index) =>
          item === "line" ? <hr key={index} /> : (
            <button key={index} type="button" role="menuitem" disabled={item.disabled} className={item.danger ? "danger" : undefined} onClick={() => choose(item)}>
              {item.icon}
              {item.label}
            </button>
          ),
        )}
      </div>
    </>
  ) // prettier-ignore
}

/** Below the trigger, or above when there is no room, and along its outer edge; never beyond an edge of the window. */
function place(trigger: HTMLElement, menu: HTMLElement): void {
  const anchor = trigger.getBoundingClientRect()
  const { width, height } = menu.getBoundingClientRect()
  const isLeft = anchor.left + anchor.right < innerWidth
  const left = Math.min(Math.max(8, isLeft ? anchor.left : anchor.right - width), innerWidth - width - 8)
  const below = anchor.bottom + 4
  const top = below + height > innerHeight - 8 ? Math.max(8, anchor.top - height - 4) : below
  menu.style.left = `${left}px`
  menu.style.top = `${top}px`
}

function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  // Tab leaves the menu, and goes on from its button.
  if (event.key === "Tab") return event.currentTarget.hidePopover()
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>("button:not(:disabled)")]
  const at = items.indexOf(document.activeElement as HTMLElement)
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key]
  if (next === undefined) return
  event.preventDefault()
  items[(next + items.length) % items.length]?.focus()
}
