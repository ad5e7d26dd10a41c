import { useCallback, useLayoutEffect, useRef, useState, type KeyboardEvent, type RefObject } from "react"
import type { DocumentEntry } from "../data/entries.ts"

export interface RowKeys {
  /** The one row at which Tab stops: the last one used, or the open one. */
  readonly stop: string | null
  focused(id: string): void
  pressed(event: KeyboardEvent): void
}

/**
 * The list by keyboard: Tab stops once, and arrows go from row to row. Otherwise hundreds of rows would stand between
 * the top of the list and the document. The open row is brought into view, wherever it was opened from.
 */
export function useRowKeys(
  entries: readonly DocumentEntry[],
  openId: string | null,
  scroller: RefObject<HTMLElement | null>,
): RowKeys {
  const [used, setUsed] = useState({ id: openId, openId })
  if (used.openId !== openId) setUsed({ id: openId, openId })
  const isListed = (id: string | null): boolean => id !== null && entries.some((entry) => entry.id === id)
  const stop = [used.id, openId].find(isListed) ?? entries[0]?.id ?? null

  /** What the callbacks read, so that they stay the same and no row is drawn again for them. */
  const present = useRef({ entries, stop })
  /** The row to go to once it is drawn: the list holds only those in view, and the one at which Tab stops. */
  const goal = useRef<string | null>(null)
  const isOpenListed = isListed(openId)

  useLayoutEffect(() => {
    present.current = { entries, stop }
    if (goal.current === null) return
    rowOf(scroller.current, goal.current)?.focus()
    goal.current = null
  })
  useLayoutEffect(() => {
    if (openId !== null && isOpenListed) rowOf(scroller.current, openId)?.scrollIntoView({ block: "nearest" })
  }, [openId, isOpenListed, scroller])

  const focused = useCallback((id: string): void => setUsed((old) => ({ ...old, id })), [])
  const pressed = useCallback((event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return
    const { entries, stop } = present.current
    const at = entries.findIndex(({ id }) => id === stop)
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key]
    if (next === undefined) return
    event.preventDefault()
    const id = entries[next]?.id
    if (id === undefined) return
    goal.current = id
    setUsed((old) => ({ ...old, id }))
  }, [])
  return { stop, focused, pressed }
}

function rowOf(scroller: HTMLElement | null, id: string): HTMLElement | null {
  return scroller?.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`) ?? null
}
