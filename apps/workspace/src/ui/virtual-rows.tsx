import { useLayoutEffect, useRef, useState, type ReactNode, type RefObject } from "react"
import { remInPx } from "./rem.ts"

export interface VirtualRowsProps<T> {
  readonly items: readonly T[]
  /** In rem, so that rows grow with their letters. */
  readonly rowHeight: number
  readonly keyOf: (item: T) => string
  readonly render: (item: T, index: number) => ReactNode
  readonly className?: string
  readonly label?: string
  /** Rows that stay mounted wherever they are, such as the one that has the focus. */
  readonly keep?: readonly (string | null)[]
  /** A row that stays mounted but takes up no space: the finger that drags it must not lose its element. */
  readonly parked?: string | null
  /** Empty rows at the end, such as a place for a card that is dragged here. */
  readonly spare?: number
  readonly scroller?: RefObject<HTMLDivElement | null>
}

const OVERSCAN = 6

/** A list that mounts only the rows in view. Every row has the same height, so no row has to be measured. */
export function VirtualRows<T>(props: VirtualRowsProps<T>) {
  const {
    items,
    rowHeight,
    keyOf,
    render,
    className = "",
    label,
    keep = [],
    parked = null,
    spare = 0,
  } = props
  const own = useRef<HTMLDivElement>(null)
  const scroller = props.scroller ?? own
  const [view, setView] = useState({ first: 0, last: 30 })

  useLayoutEffect(() => {
    const element = scroller.current
    if (!element) return
    const measure = (): void => {
      const rowPx = rowHeight * remInPx()
      const first = Math.max(0, Math.floor(element.scrollTop / rowPx) - OVERSCAN)
      const last = Math.ceil((element.scrollTop + element.clientHeight) / rowPx) + OVERSCAN
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

  const placeOf = (key: string | null): number =>
    key === null ? -1 : items.findIndex((item) => keyOf(item) === key)
  const parkedAt = placeOf(parked)
  const count = items.length - (parkedAt >= 0 ? 1 : 0)
  const last = Math.min(parkedAt >= 0 ? view.last + 1 : view.last, items.length)
  const places = new Set([parkedAt, ...keep.map(placeOf)].filter((at) => at >= 0))
  for (let at = view.first; at < last; at++) places.add(at)
  const shown = [...places]
    .sort((a, b) => a - b)
    .flatMap((at) => {
      const item = items[at]
      const index = parkedAt >= 0 && at > parkedAt ? at - 1 : at
      return item === undefined ? [] : [{ item, index, isParked: at === parkedAt }]
    })
  return (
    <div ref={scroller} className={`virtual ${className}`}>
      <ul aria-label={label} style={{ height: `${(count + spare) * rowHeight}rem`, position: "relative" }}>
        {shown.map(({ item, index, isParked }) => (
          <li
            key={keyOf(item)}
            aria-setsize={count}
            aria-posinset={index + 1}
            style={{
              position: "absolute",
              insetInline: 0,
              top: `${index * rowHeight}rem`,
              height: `${rowHeight}rem`,
              visibility: isParked ? "hidden" : undefined,
            }}
          >
            {render(item, index)}
          </li>
        ))}
      </ul>
    </div>
  )
}
