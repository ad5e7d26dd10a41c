import { createState, type State } from "@dunlin/core"

const state = createState<string | null>(null)

/** Id of the document whose text gets the focus once it is shown, unless the focus has moved on by then. */
export const enteredDocument: State<string | null> = state

/** For whoever opens a document to write or read on in it, and not to go through the list. */
export function enterDocument(id: string): void {
  document.querySelector<HTMLElement>("#main")?.focus()
  // On a phone the focus would open the keyboard, which covers half of the text.
  if (!matchMedia("(pointer: coarse)").matches) state.set(id)
}

/** Whether the text of this document is to have the focus now. Asked once. */
export function takeEntry(id: string): boolean {
  if (state.get() !== id) return false
  state.set(null)
  const { activeElement } = document
  return activeElement === document.body || activeElement?.id === "main"
}
