import { Annotation, ChangeSet, type ChangeSpec, type Text, Transaction } from "@codemirror/state"
import { type EditorView, logException, type PluginValue, type ViewUpdate } from "@codemirror/view"
import type { Delta, LoroEventBatch } from "loro-crdt"

import { insertText } from "../text/insert-text.ts"
import { findSplice } from "../text/text-change.ts"
import type { TextSource } from "../text/text-source.ts"
import type { TextUndo } from "../text/text-undo.ts"

/** Marks transactions that came from the document and must not be written back into it. */
const fromLoro = Annotation.define<true>()

export interface TextSync extends PluginValue {
  run(action: "undo" | "redo"): void
}

/** Keeps the editor's document and the text equal, change by change. */
export function createTextSync(
  view: EditorView,
  source: TextSource,
  { undo, shared }: { readonly undo: TextUndo; readonly shared: boolean },
): TextSync {
  /** Changes of the text that the editor does not have yet, relative to the editor's document as it is. */
  let waiting: ChangeSet | null = null
  let writing = false
  /** While the editor is in the middle of an update, the length of the document to which incoming changes are relative. */
  let baseLength: number | null = null
  let destroyed = false
  let caretToChange = false
  let unsubscribe: () => void = () => undefined

  const heard = (batch: LoroEventBatch): void => {
    if (writing || destroyed) return
    const target = source.text().id
    for (const event of batch.events) {
      if (event.target !== target || event.diff.type !== "text") continue
      const base = waiting?.newLength ?? baseLength ?? view.state.doc.length
      const change = ChangeSet.of(changesOf(event.diff.diff), base, "\n")
      waiting = waiting === null ? change : waiting.compose(change)
    }
    if (batch.by === "local" && (batch.origin === "undo" || batch.origin === "redo")) caretToChange = true
    if (baseLength === null) show()
  }

  const show = (): void => {
    if (waiting === null || destroyed) return
    const changes = waiting
    waiting = null
    const caret = caretToChange ? endOfChanges(changes) : null
    caretToChange = false
    view.dispatch({
      changes,
      ...(caret !== null && { selection: { anchor: caret }, scrollIntoView: true }),
      annotations: [
        fromLoro.of(true),
        Transaction.addToHistory.of(false),
        Transaction.remote.of(caret === null),
      ],
    })
  }

  const showSoon = (): void => {
    // The editor refuses changes while it applies one.
    queueMicrotask(show)
  }

  const write = (changes: ChangeSet): void => {
    const text = source.text()
    // Back to front, so that earlier positions stay valid.
    const parts: { readonly from: number; readonly to: number; readonly inserted: Text }[] = []
    changes.iterChanges((from, to, _fromNow, _toNow, inserted) => void parts.push({ from, to, inserted }))
    for (const { from, to, inserted } of parts.toReversed()) {
      if (to > from) text.delete(from, to - from)
      insertText(text, from, inserted.sliceString(0, inserted.length, "\n"))
    }
  }

  const typed = (update: ViewUpdate): void => {
    if (!source.isWritable()) {
      // Reverts the editor to what the text says.
      waiting = update.changes.invert(update.startState.doc)
      return showSoon()
    }
    try {
      writeTyped(update)
    } catch (error) {
      // An editor drops a plugin that throws, and what is typed from then on would be lost. A document that broke is replaced
      // in a moment.
      logException(update.state, error, "what was typed into a Loro text")
      queueMicrotask(alignIfReadable)
    }
  }

  const writeTyped = (update: ViewUpdate): void => {
    baseLength = update.startState.doc.length
    // Uncommitted edits of the document come first, as changes of others. Like those that already wait, they are relative
    // to the document as it was before this update.
    try {
      source.doc().commit()
    } finally {
      baseLength = null
    }
    const others = waiting
    waiting = others?.map(update.changes, true) ?? null
    writing = true
    try {
      write(others === null ? update.changes : update.changes.map(others))
      source.doc().commit()
    } finally {
      writing = false
    }
    if (waiting !== null) showSoon()
  }

  const align = (): void => {
    const text = source.text().toString()
    const splice = findSplice(view.state.doc.toString(), text)
    waiting = null
    if (splice === null) return
    const { at, remove, insert } = splice
    waiting = ChangeSet.of([{ from: at, to: at + remove, insert }], view.state.doc.length, "\n")
    showSoon()
  }

  const alignIfReadable = (): void => {
    try {
      if (!destroyed) align()
    } catch {
      // The editor is aligned with the next instance.
    }
  }

  const attach = (): void => {
    unsubscribe = source.text().subscribe(heard)
    align()
  }

  const unwatch = source.subscribe(() => {
    unsubscribe()
    if (destroyed || !source.isWritable()) return
    undo.follow(source.doc())
    attach()
  })

  attach()
  return {
    update(update) {
      if (!update.docChanged) return
      const own = update.transactions.filter(
        (transaction) => transaction.docChanged && transaction.annotation(fromLoro) === undefined,
      )
      if (own.length > 0) typed(update)
    },
    run(action) {
      if (!source.isWritable()) return
      source.doc().commit()
      undo[action]()
    },
    destroy() {
      destroyed = true
      unsubscribe()
      unwatch()
      if (!shared) undo.close()
    },
  }
}

function changesOf(delta: readonly Delta<string>[]): ChangeSpec[] {
  const changes: ChangeSpec[] = []
  let at = 0
  for (const part of delta) {
    if (part.retain !== undefined) at += part.retain
    else if (part.insert !== undefined) changes.push({ from: at, insert: part.insert })
    else if (part.delete !== undefined) {
      changes.push({ from: at, to: at + part.delete })
      at += part.delete
    }
  }
  return changes
}

function endOfChanges(changes: ChangeSet): number | null {
  let end: number | null = null
  changes.iterChangedRanges((_from, _to, _fromNow, toNow) => {
    end = toNow
  })
  return end
}
