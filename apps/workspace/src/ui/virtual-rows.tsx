import { useLayoutEffect, useRef, useState, type ReactNode, type RefObject } from "react"

export interface VirtualRowsProps<T> {
  readonly items: readonly T[]
  readonly rowHeight: number
  readonly keyOf: (item: T) => string
  readonly render: (item: T, index: number) => ReactNode
  readonly className?: string
  readonly label?: string
  /** Rows that stay mounted wherever they are, such as the one that holds the focus. */
  readonly keep?: string | null
  readonly scroller?: RefObject<HTMLDivElement | null>
}

const OVERSCAN = 6

/** A list that mounts only the rows in view. Every row has the same height, so no row has to be measured. */
export function VirtualRows<T>(props: VirtualRowsProps<T>) {
  const { items, rowHeight, keyOf, render, className = "", label, keep = null } = props
  const own = useRef<HTMLDivElement>(null)
  const scroller = props.scroller ?? own
  const [view, setView] = useState({ first: 0, last: 30 })

  useLayoutEffect(() => {
    const element = scroller.current
    if (!element) return
    const measure = (): void => {
      const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - OVERSCAN)
      const last = Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + OVERSCAN
      setView((old) => (old.first === first && old.last === last ? old : { first, last }))
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    element.addEventListener("scroll", measure, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener("scroll", measure)
    }
  }, [rowHeight, scroller])

  const shown = items.flatMap((item, index) =>
    (index >= view.first && index < view.last) || keyOf(item) === keep ? [{ item, index }] : [],
  )
  return (
    <div ref={scroller} className={`virtual ${className}`}>
      <ul aria-label={label} style={{ height: items.length * rowHeight, position: "relative" }}>
        {shown.map(({ item, index }) => (
          <li
            key={keyOf(item)}
            aria-setsize={items.length}
            aria-posinset={index + 1}
            style={{ position: "absolute", insetInline: 0, top: index * rowHeight, height: rowHeight }}
          >
            {render(item, index)}
          </li>
        ))}
      </ul>
    </div>
  )
}
