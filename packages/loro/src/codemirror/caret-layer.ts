import { EditorSelection, type EditorState, type Extension } from "@codemirror/state"
import { EditorView, layer, type LayerMarker, RectangleMarker } from "@codemirror/view"

import { arrangeNames, type CaretSpot, type NamePlace } from "./caret-names.ts"

/** Somebody else's caret, at its place in the current text. */
export interface RemoteCaret {
  readonly session: string
  readonly name: string
  /** `#rrggbb`. */
  readonly color: string
  readonly at: number
  /** How often its owner has moved it: its name shows again each time. */
  readonly moves: number
}

interface Place extends CaretSpot, NamePlace {}

/**
 * Draws carets over the text. Inside the text, the layout would treat each as a word: lines would break beside it, and
 * letters that belong together would come apart.
 */
export function caretLayer(caretsOf: (state: EditorState) => readonly RemoteCaret[]): Extension {
  return [
    theme,
    showPointedNames,
    layer({
      above: true,
      class: "dunlin-carets",
      update: ({ startState, state, viewportChanged }) =>
        viewportChanged || caretsOf(startState) !== caretsOf(state),
      // One marker per caret, visible or not: the layer compares markers by their order.
      markers: (view) => markersOf(view, caretsOf(view.state)),
    }),
  ]
}

function markersOf(view: EditorView, carets: readonly RemoteCaret[]): readonly CaretMarker[] {
  const placed = carets.map((caret) => ({ caret, spot: spotOf(view, caret.at), name: caret.name }))
  const drawn = placed.flatMap(({ spot, name }) => (spot === null ? [] : [{ spot, name }]))
  const { offsetLeft, clientWidth } = view.contentDOM
  const measures = { left: offsetLeft, right: offsetLeft + clientWidth, letters: lettersOf(view) }
  const places = arrangeNames(drawn, measures)
  let next = 0
  return placed.map(({ caret, spot }) => {
    const name = spot === null ? undefined : places[next++]
    return createCaretMarker(caret, spot === null || name === undefined ? null : { ...spot, ...name })
  })
}

/** The font size of the page's root, which follows the size of letters that is set in the browser. */
function lettersOf(view: EditorView): number {
  return Number.parseFloat(getComputedStyle(view.dom.ownerDocument.documentElement).fontSize)
}

/** Null where the editor has not drawn the text. */
function spotOf(view: EditorView, at: number): CaretSpot | null {
  if (at < view.viewport.from || at > view.viewport.to) return null
  const [rectangle] = RectangleMarker.forRange(view, "", EditorSelection.cursor(at))
  if (rectangle === undefined) return null
  const { left, top, height } = rectangle
  return { left, top, height }
}

interface CaretMarker extends LayerMarker {
  readonly caret: RemoteCaret
  readonly place: Place | null
}

function createCaretMarker(caret: RemoteCaret, place: Place | null): CaretMarker {
  return {
    caret,
    place,
    eq(other) {
      const { caret: before, place: stood } = other as CaretMarker
      return isSameCaret(caret, before) && isSamePlace(place, stood)
    },
    draw() {
      const element = document.createElement("div")
      element.className = "dunlin-caret"
      element.dataset["session"] = caret.session
      element.setAttribute("aria-hidden", "true")
      element.append(nameOf(caret))
      put(element, caret, place)
      return element
    },
    update(element, former) {
      const { caret: before } = former as CaretMarker
      if (before.session !== caret.session) return false
      // A new element starts the animation of the name from the beginning.
      if (!isSameCaret(caret, before)) element.replaceChildren(nameOf(caret))
      put(element, caret, place)
      return true
    },
  }
}

function isSameCaret(a: RemoteCaret, b: RemoteCaret): boolean {
  return a.session === b.session && a.moves === b.moves && a.name === b.name && a.color === b.color
}

function isSamePlace(a: Place | null, b: Place | null): boolean {
  if (a === null || b === null) return a === b
  const isSameSpot = a.left === b.left && a.top === b.top && a.height === b.height
  return (
    isSameSpot && a.where === b.where && a.side === b.side && a.gap === b.gap && a.maxWidth === b.maxWidth
  )
}

function nameOf({ name, color }: RemoteCaret): HTMLElement {
  const label = document.createElement("span")
  label.className = "dunlin-caret-name"
  label.style.backgroundColor = color
  // Peers choose their names, so a name is text, never markup.
  label.textContent = name
  return label
}

function put(element: HTMLElement, { color }: RemoteCaret, place: Place | null): void {
  element.style.borderColor = color
  element.hidden = place === null
  if (place === null) return
  element.style.left = `${place.left}px`
  element.style.top = `${place.top}px`
  element.style.height = `${place.height}px`
  element.dataset["name"] = `${place.where} ${place.side}`
  element.style.setProperty("--dunlin-caret-name-gap", `${place.gap}px`)
  element.style.setProperty("--dunlin-caret-name-width", `${place.maxWidth}px`)
}

const POINTED = "dunlin-caret-pointed"

/** Pointing at a line brings back the names in it. The carets themselves leave the pointer to the text. */
const showPointedNames = EditorView.domEventHandlers({
  mousemove({ clientY }, view) {
    for (const caret of caretsIn(view)) {
      const { top, bottom } = caret.getBoundingClientRect()
      caret.classList.toggle(POINTED, clientY >= top && clientY <= bottom)
    }
  },
  mouseleave(_event, view) {
    for (const caret of caretsIn(view)) caret.classList.remove(POINTED)
  },
})

function caretsIn(view: EditorView): NodeListOf<HTMLElement> {
  return view.scrollDOM.querySelectorAll<HTMLElement>(".dunlin-caret")
}

const theme = EditorView.baseTheme({
  ".dunlin-carets": { pointerEvents: "none" },
  ".dunlin-caret": { position: "absolute", width: "0", marginLeft: "-1px", borderLeft: "2px solid" },
  ".dunlin-caret[hidden]": { display: "none" },
  ".dunlin-caret-name": {
    position: "absolute",
    bottom: "calc(100% + var(--dunlin-caret-name-gap, 0px))",
    left: "-2px",
    boxSizing: "border-box",
    maxWidth: "var(--dunlin-caret-name-width, none)",
    padding: "0 4px",
    overflow: "hidden",
    textOverflow: "ellipsis",
    borderRadius: "3px 3px 3px 0",
    fontSize: "0.6875rem",
    fontFamily: "system-ui, sans-serif",
    lineHeight: "1.4",
    color: "#ffffff",
    whiteSpace: "nowrap",
    userSelect: "none",
    // The name covers the line above, so it shows just long enough to be read, and again when the caret moves or the
    // pointer is on its line.
    animation: "dunlin-caret-name-fades 0.4s ease 4s forwards",
  },
  '[data-name~="left"] > .dunlin-caret-name': { left: "auto", right: "0", borderRadius: "3px 3px 0 3px" },
  '[data-name~="below"] > .dunlin-caret-name': {
    bottom: "auto",
    top: "calc(100% + var(--dunlin-caret-name-gap, 0px))",
    borderRadius: "0 3px 3px 3px",
  },
  [`.${POINTED} > .dunlin-caret-name`]: { animation: "none" },
  "@keyframes dunlin-caret-name-fades": { to: { opacity: "0" } },
  ".dunlin-caret-name:empty": { display: "none" },
})
