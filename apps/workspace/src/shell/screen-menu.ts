import { createState, type State } from "@dunlin/core"
import { useEffect, useRef } from "react"
import type { MenuItem } from "../ui/menu.tsx"

const state = createState<readonly MenuItem[]>([])

/** What the present screen adds to the menu of a narrow window, which has no room for a second menu. */
export const screenMenu: State<readonly MenuItem[]> = state

/** Adds `items` for as long as the component is shown. */
export function useScreenMenu(items: readonly MenuItem[]): void {
  const latest = useRef(items)
  latest.current = items
  const shown = items.map(({ label, disabled }) => `${label} ${disabled}`).join("\n")
  useEffect(() => {
    // What an item does may change on every render, and subscribers need not be told.
    state.set(latest.current.map((item, index) => ({ ...item, run: () => latest.current[index]?.run() })))
  }, [shown])
  useEffect(() => () => state.set([]), [])
}
