import { createState, type State } from "@dunlin/core"
import { useLayoutEffect } from "react"
import { smallStore } from "../device/small-store.ts"
import { navigate } from "wouter/use-hash-location"
import { showOverlay } from "./overlay.ts"

export const SHORTCUTS: readonly { readonly keys: string; readonly does: string }[] = [
  { keys: "Ctrl K", does: "Search and commands" },
  { keys: "?", does: "This list" },
  { keys: "G then D", does: "Documents" },
  { keys: "G then B", does: "Board" },
  { keys: "G then N", does: "Quick note" },
  { keys: "G then P", does: "People" },
  { keys: "↑ ↓", does: "Go through the list of documents, or the cards of the board" },
  { keys: "Space, arrows, Space", does: "Lift, move and drop a card of the board" },
  { keys: "M", does: "Move the focused card to another column" },
  { keys: "Ctrl F", does: "Search in the open document, while you write in it" },
  { keys: "Esc", does: "Leave the text, where Tab indents" },
  { keys: "Ctrl Z", does: "Undo what you wrote; never what others wrote" },
]

/** Keys by the names they have on this keyboard. */
export function shownKeys(keys: string): string {
  return /Mac|iPhone|iPad/.test(navigator.platform) ? keys.replace("Ctrl ", "⌘ ") : keys
}

const KEY = "single-keys"
const state = createState(smallStore.read(KEY) !== "off")

/** Speech input and unsteady hands press single keys by accident; those affected can turn them off. */
export const singleKeys: State<boolean> = state

export function saveSingleKeys(on: boolean): void {
  smallStore.write(KEY, on ? "on" : "off")
  state.set(on)
}

const PLACES: Readonly<Record<string, string>> = {
  d: "/documents",
  b: "/board",
  n: "/note",
  p: "/people",
}
const SEQUENCE_MS = 1_200

export function useShortcuts(): void {
  // Before the first paint, so that the keys work as soon as the shell is seen.
  useLayoutEffect(() => {
    let wentAt = 0
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented) return
      if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k") {
        event.preventDefault()
        return showOverlay("palette")
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target) || !state.get()) return
      if (event.key === "?") return showOverlay("shortcuts")
      const place = PLACES[event.key]
      if (place !== undefined && Date.now() - wentAt < SEQUENCE_MS) navigate(place)
      wentAt = event.key === "g" ? Date.now() : 0
    }
    addEventListener("keydown", pressed)
    return () => removeEventListener("keydown", pressed)
  }, [])
}

function isWriting(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) || target.closest("dialog") !== null
} // prettier-ignore
