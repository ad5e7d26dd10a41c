import { createState, type State } from "@dunlin/core"

/** The one thing that may lie over a screen. */
export type Overlay = "palette" | "share" | "join" | "shortcuts" | null

const state = createState<Overlay>(null)

export const overlay: State<Overlay> = state

export function showOverlay(next: Overlay): void {
  state.set(next)
}
