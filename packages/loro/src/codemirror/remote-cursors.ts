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
} from "@codemirror/view"
import type { Presence } from "@dunlin/core"

import { presenceCursor, readRemoteCursors, type RemoteCursor } from "../text/presence-cursor.ts"
import type { TextSource } from "../text/text-source.ts"
import { caretLayer, type RemoteCaret } from "./caret-layer.ts"

interface Shown {
  /** Sorted by session. */
  readonly carets: readonly RemoteCaret[]
  readonly selections: DecorationSet
}

const setCursors = StateEffect.define<readonly RemoteCursor[]>()

/** Shows where the others are, and tells them where we are while the editor has the focus. */
export function remoteCursors(text: TextSource, presence: Presence): Extension {
  return [
    field,
    caretLayer((state) => state.field(field).carets),
    ViewPlugin.define((view) => createCursorExchange(view, text, presence)),
  ]
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

const field = StateField.define<Shown>({
  create: () => ({ carets: [], selections: Decoration.none }),
  update(shown, transaction) {
    const isRemote = transaction.annotation(Transaction.remote) === true
    let next = transaction.docChanged ? mapShown(shown, transaction.changes, isRemote) : shown
    for (const effect of transaction.effects)
      if (effect.is(setCursors)) next = shownOf(effect.value, next.carets)
    return next
  },
  provide: (self) => EditorView.decorations.from(self, ({ selections }) => selections),
})

/** Typing sends no presence, so the owner of a caret that a remote change touches counts as the author of the change. */
function mapShown({ carets, selections }: Shown, changes: ChangeSet, isRemote: boolean): Shown {
  return {
    selections: selections.map(changes),
    carets: carets.map((caret) => {
      const isAuthor = isRemote && changes.touchesRange(caret.at) !== false
      return { ...caret, at: changes.mapPos(caret.at, 1), moves: caret.moves + (isAuthor ? 1 : 0) }
    }),
  }
}

function shownOf(cursors: readonly RemoteCursor[], before: readonly RemoteCaret[]): Shown {
  const caretsBySession = new Map(before.map((caret) => [caret.session, caret]))
  const selections: Range<Decoration>[] = []
  const carets: RemoteCaret[] = []
  for (const { session, name, color, anchor, head } of cursors) {
    const [from, to] = [Math.min(anchor, head), Math.max(anchor, head)]
    if (to > from) {
      // The style is safe: colours are checked to be `#rrggbb`.
      const attributes = { style: `background-color: ${color}33` }
      selections.push(Decoration.mark({ class: "dunlin-selection", attributes }).range(from, to))
    }
    const { at, moves } = caretsBySession.get(session) ?? { at: head, moves: 0 }
    // Text that others write before the caret does not count as a move.
    carets.push({ session, name, color, at: head, moves: at === head ? moves : moves + 1 })
  }
  carets.sort((a, b) => (a.session < b.session ? -1 : 1))
  return { carets, selections: Decoration.set(selections, true) }
}
