import type { LoroEventBatch } from "loro-crdt"

import { insertText } from "./insert-text.ts"
import type { PresenceCursorSink } from "./presence-cursor.ts"
import {
  applySplice,
  findSplice,
  movePosition,
  type Splice,
  splicesOf,
  transformSplice,
} from "./text-change.ts"
import type { TextSource } from "./text-source.ts"
import { createTextUndo, type TextUndo } from "./text-undo.ts"

/** What `bindTextarea` binds. An input shows line breaks as spaces; the text keeps them. */
export type TextField = HTMLTextAreaElement | HTMLInputElement

/** What a bound field shares with other bindings of its document, and with the peers. */
export interface BindTextareaOptions {
  /** An undo for all bindings of the document; by default the binding makes its own. */
  readonly undo?: TextUndo | undefined
  /** Where this caret is published for others, see `presenceCursor`. */
  readonly cursor?: PresenceCursorSink | undefined
}

/** A bound field, until `unbind`. */
export interface TextBinding {
  /** The undo that the binding was given or made. */
  readonly undo: TextUndo
  /** Leaves the element as it is. Idempotent. */
  unbind(): void
}

/** Larger replacements are compared in detail, so that an edit of another person in the middle of one survives. */
const DIFF_FROM_CHARACTERS = 64
const DIFF_TIMEOUT_MS = 50

/**
 * Keeps a textarea (or a text input) and a Loro text equal. What is typed becomes the smallest edit that explains
 * it; edits of others leave caret, selection and scroll where they belong; while an input method composes, the
 * element is left alone. Undo keys undo what was typed here.
 */
export function bindTextarea(
  source: TextSource,
  element: TextField,
  options: BindTextareaOptions = {},
): TextBinding {
  const undo = options.undo ?? createTextUndo(source.doc())
  let shown = ""
  /** Changes of others that the element does not show yet. */
  let waiting: Splice[] = []
  let composing = false
  let writing = false
  let unsubscribe: () => void = () => undefined

  const show = (text: string): string => shownText(text, element)

  /** Applies the waiting changes to the element, and moves the selection with them. */
  const showWaiting = (caret: "mapped" | "at-change"): void => {
    if (waiting.length === 0) return
    const splices = waiting
    waiting = []
    const selection = readSelection(element)
    const scroll = { top: element.scrollTop, left: element.scrollLeft }
    let { start, end } = selection
    const collapsed = start === end
    for (const splice of splices) {
      shown = applySplice(shown, splice)
      start = movePosition(start, splice, collapsed ? "before" : "after")
      end = collapsed ? start : Math.max(start, movePosition(end, splice, "before"))
      if (caret === "at-change") start = end = splice.at + splice.insert.length
    }
    element.value = show(shown)
    if (element.ownerDocument.activeElement === element || caret === "at-change") {
      element.setSelectionRange(start, end, selection.direction)
    }
    element.scrollTop = scroll.top
    element.scrollLeft = scroll.left
  }

  const heard = (batch: LoroEventBatch): void => {
    const target = source.text().id
    const splices = batch.events.flatMap((event) =>
      event.target === target && event.diff.type === "text" ? splicesOf(event.diff.diff) : [],
    )
    if (writing) {
      // Our own edit: the element has it.
      for (const splice of splices) shown = applySplice(shown, splice)
      return
    }
    waiting.push(...splices)
    if (composing || element.value !== show(shown)) return
    const undone = batch.by === "local" && (batch.origin === "undo" || batch.origin === "redo")
    showWaiting(undone ? "at-change" : "mapped")
  }

  const typed = (): void => {
    const caret = readSelection(element).end
    const splice = findSplice(show(shown), element.value, caret)
    if (splice === null) return showWaiting("mapped")
    if (!source.isWritable()) {
      element.value = show(shown)
      return
    }
    // Uncommitted edits of the document come first, as changes of others.
    source.doc().commit()
    const others = waiting
    let parts: readonly Splice[] = [splice]
    for (const other of others) parts = parts.flatMap((part) => transformSplice(part, other))
    waiting = []
    let base = shown
    for (const other of others) base = applySplice(base, other)
    shown = base
    writing = true
    try {
      write(parts, base)
      source.doc().commit()
    } finally {
      writing = false
    }
    if (others.length === 0) return
    const moved = others.reduce((at, other) => movePosition(at, other, "before"), caret)
    element.value = show(shown)
    element.setSelectionRange(moved, moved)
  }

  const write = (parts: readonly Splice[], base: string): void => {
    const text = source.text()
    const [only] = parts
    const large =
      only !== undefined &&
      parts.length === 1 &&
      only.remove > DIFF_FROM_CHARACTERS &&
      only.insert.length > DIFF_FROM_CHARACTERS
    if (large) {
      try {
        return text.update(applySplice(base, only), { timeoutMs: DIFF_TIMEOUT_MS })
      } catch {
        // Too different to be compared in time, and left unchanged: replaced as a whole below.
      }
    }
    for (const { at, remove, insert } of parts) {
      if (remove > 0) text.delete(at, remove)
      insertText(text, at, insert)
    }
  }

  const publishCursor = (): void => {
    if (options.cursor === undefined || composing) return
    const active = element.ownerDocument.activeElement === element
    const { start, end, direction } = readSelection(element)
    if (!active) options.cursor.clear()
    else if (direction === "backward") options.cursor.set(source, end, start)
    else options.cursor.set(source, start, end)
  }

  const run = (action: "undo" | "redo"): void => {
    if (!source.isWritable()) return
    source.doc().commit()
    undo[action]()
    publishCursor()
  }

  const listeners: readonly (readonly [keyof HTMLElementEventMap, (event: Event) => void])[] = [
    [
      "input",
      (event) => {
        if (composing || (event as InputEvent).isComposing) return
        typed()
        publishCursor()
      },
    ],
    ["compositionstart", () => (composing = true)],
    [
      "compositionend",
      () => {
        composing = false
        typed()
        publishCursor()
      },
    ],
    [
      "beforeinput",
      (event) => {
        const { inputType } = event as InputEvent
        if (inputType !== "historyUndo" && inputType !== "historyRedo") return
        event.preventDefault()
        run(inputType === "historyUndo" ? "undo" : "redo")
      },
    ],
    [
      "keydown",
      (event) => {
        const action = undoKey(event as KeyboardEvent)
        if (action === null) return
        event.preventDefault()
        run(action)
      },
    ],
    ["blur", publishCursor],
    ["focus", publishCursor],
  ]
  const onSelection = (): void => {
    if (element.ownerDocument.activeElement === element) publishCursor()
  }

  const attach = (): void => {
    shown = source.text().toString()
    waiting = []
    if (element.value !== show(shown)) element.value = show(shown)
    unsubscribe = source.text().subscribe(heard)
  }

  const unwatch = source.subscribe(() => {
    unsubscribe()
    if (!source.isWritable()) return
    undo.follow(source.doc())
    attach()
  })

  attach()
  for (const [type, listener] of listeners) element.addEventListener(type, listener)
  element.ownerDocument.addEventListener("selectionchange", onSelection)
  let bound = true
  return {
    undo,
    unbind() {
      if (!bound) return
      bound = false
      unsubscribe()
      unwatch()
      options.cursor?.clear()
      for (const [type, listener] of listeners) element.removeEventListener(type, listener)
      element.ownerDocument.removeEventListener("selectionchange", onSelection)
      if (options.undo === undefined) undo.close()
    },
  }
}

/**
 * What the element shows for a text. The browser normalises its value, which would shift every position: each character
 * that would be lost is shown as another one of the same length.
 */
function shownText(text: string, element: TextField): string {
  if (element.tagName === "TEXTAREA") return text.includes("\r") ? text.replaceAll("\r", "\u200b") : text
  return /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, " ") : text
}

interface Selection {
  readonly start: number
  readonly end: number
  readonly direction: "forward" | "backward" | "none"
}

function readSelection(element: TextField): Selection {
  const start = element.selectionStart ?? 0
  return { start, end: element.selectionEnd ?? start, direction: element.selectionDirection ?? "none" }
}

function undoKey(event: KeyboardEvent): "undo" | "redo" | null {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return null
  const key = event.key.toLowerCase()
  if (key === "z") return event.shiftKey ? "redo" : "undo"
  return key === "y" && !event.shiftKey && !event.metaKey ? "redo" : null
}
