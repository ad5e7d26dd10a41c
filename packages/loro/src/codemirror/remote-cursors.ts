import {
  type ChangeSet,
  type Extension,
  type Range,
  StateEffect,
  StateField,
  Transaction,
} from "@codemirror/state"
import {
  Decoration,
  type DecorationSet,
  EditorView,
  type PluginValue,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from "@codemirror/view"
import type { Presence } from "@dunlin/core"

import { presenceCursor, readRemoteCursors, type RemoteCursor } from "../text/presence-cursor.ts"
import type { TextSource } from "../text/text-source.ts"

const setCursors = StateEffect.define<readonly RemoteCursor[]>()

/** Shows where the others are, and tells them where we are while the editor has the focus. */
export function remoteCursors(text: TextSource, presence: Presence): Extension {
  return [field, theme, ViewPlugin.define((view) => createCursorExchange(view, text, presence))]
}

function createCursorExchange(view: EditorView, text: TextSource, presence: Presence): PluginValue {
  const sink = presenceCursor(presence)
  let asked = false
  let destroyed = false

  const publish = (): void => {
    if (!view.hasFocus) return sink.clear()
    const { anchor, head } = view.state.selection.main
    sink.set(text, anchor, head)
  }
  const later = (work: () => void): void => {
    // Neither presence nor the document may be touched in the middle of an update.
    queueMicrotask(() => {
      if (!destroyed) work()
    })
  }
  const refresh = (): void => {
    if (asked) return
    asked = true
    later(() => {
      asked = false
      const length = view.state.doc.length
      const cursors = readRemoteCursors(text, presence.others.get()).filter(
        ({ anchor, head }) => anchor <= length && head <= length,
      )
      view.dispatch({ effects: setCursors.of(cursors) })
    })
  }

  const unsubscribe = presence.others.subscribe(refresh)
  refresh()
  return {
    update(update: ViewUpdate) {
      if (update.selectionSet || update.docChanged || update.focusChanged) later(publish)
    },
    destroy() {
      destroyed = true
      unsubscribe()
      sink.clear()
    },
  }
}

const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(decorations, transaction) {
    const isRemote = transaction.annotation(Transaction.remote) === true
    let next = isRemote ? mapTyped(decorations, transaction.changes) : decorations.map(transaction.changes)
    for (const effect of transaction.effects)
      if (effect.is(setCursors)) next = decorate(effect.value, caretsIn(next))
    return next
  },
  provide: (self) => EditorView.decorations.from(self),
})

/** Where a caret stands, and how often its owner has moved it: text that others write before it does not count. */
interface Standing {
  readonly at: number
  readonly moves: number
}

/** Typing sends no presence: whoever's caret a change of theirs touches is taken for its author. */
function mapTyped(decorations: DecorationSet, changes: ChangeSet): DecorationSet {
  const moved: Range<Decoration>[] = []
  for (const caret = decorations.iter(); caret.value !== null; caret.next()) {
    const widget = caretOf(caret.value)
    if (widget !== null && changes.touchesRange(caret.from) !== false)
      moved.push(decorationOf(widget.moved()).range(changes.mapPos(caret.from, 1)))
  }
  const sessions = new Set(moved.map(({ value }) => caretOf(value)?.session))
  return decorations
    .map(changes)
    .update({ filter: (_from, _to, value) => !sessions.has(caretOf(value)?.session), add: moved })
}

function caretOf(decoration: Decoration): Caret | null {
  const { widget } = decoration.spec as { readonly widget?: unknown }
  return widget instanceof Caret ? widget : null
}

function decorationOf(widget: Caret): Decoration {
  return Decoration.widget({ widget, side: 1 })
}

function caretsIn(decorations: DecorationSet): ReadonlyMap<string, Standing> {
  const standingBySession = new Map<string, Standing>()
  for (const caret = decorations.iter(); caret.value !== null; caret.next()) {
    const widget = caretOf(caret.value)
    if (widget !== null) standingBySession.set(widget.session, { at: caret.from, moves: widget.moves })
  }
  return standingBySession
}

function decorate(
  cursors: readonly RemoteCursor[],
  standingBySession: ReadonlyMap<string, Standing>,
): DecorationSet {
  const ranges: Range<Decoration>[] = []
  for (const cursor of cursors) {
    const [from, to] = [Math.min(cursor.anchor, cursor.head), Math.max(cursor.anchor, cursor.head)]
    if (to > from) {
      // The style is safe: colours are checked to be `#rrggbb`.
      const attributes = { style: `background-color: ${cursor.color}33` }
      ranges.push(Decoration.mark({ class: "dunlin-selection", attributes }).range(from, to))
    }
    const { at, moves } = standingBySession.get(cursor.session) ?? { at: cursor.head, moves: 0 }
    const { session, name, color } = cursor
    const caret = new Caret(session, name, color, at === cursor.head ? moves : moves + 1)
    ranges.push(decorationOf(caret).range(cursor.head))
  }
  return Decoration.set(ranges, true)
}

/** CodeMirror's widgets are classes. */
class Caret extends WidgetType {
  readonly session: string
  readonly moves: number
  readonly #name: string
  readonly #color: string

  constructor(session: string, name: string, color: string, moves: number) {
    super()
    this.session = session
    this.moves = moves
    this.#name = name
    this.#color = color
  }

  moved(): Caret {
    return new Caret(this.session, this.#name, this.#color, this.moves + 1)
  }

  /** One that was moved is drawn anew, which shows its name again. */
  override eq(other: Caret): boolean {
    const isMoved = other.session !== this.session || other.moves !== this.moves
    return !isMoved && other.#name === this.#name && other.#color === this.#color
  }

  override toDOM(): HTMLElement {
    const caret = document.createElement("span")
    caret.className = "dunlin-caret"
    caret.style.borderColor = this.#color
    caret.dataset["session"] = this.session
    // Peers write their names: text, never markup.
    const label = document.createElement("span")
    label.className = "dunlin-caret-name"
    label.style.backgroundColor = this.#color
    label.textContent = this.#name
    caret.append("\u2060", label, "\u2060")
    caret.setAttribute("aria-hidden", "true")
    return caret
  }

  override ignoreEvent(): boolean {
    return true
  }
}

const theme = EditorView.baseTheme({
  ".dunlin-caret": {
    position: "relative",
    borderLeft: "2px solid",
    marginLeft: "-1px",
    marginRight: "-1px",
    pointerEvents: "none",
  },
  ".dunlin-caret-name": {
    position: "absolute",
    bottom: "100%",
    left: "-1px",
    padding: "0 4px",
    borderRadius: "3px 3px 3px 0",
    fontSize: "11px",
    fontFamily: "system-ui, sans-serif",
    lineHeight: "1.4",
    color: "#ffffff",
    whiteSpace: "nowrap",
    userSelect: "none",
    zIndex: "1",
    // It covers the line above: long enough to be read, and again when the caret moves or the pointer is on its line.
    animation: "dunlin-caret-name-fades 0.4s ease 4s forwards",
  },
  ".cm-line:hover .dunlin-caret-name": { animation: "none" },
  "@keyframes dunlin-caret-name-fades": { to: { opacity: "0" } },
  ".dunlin-caret-name:empty": { display: "none" },
})
