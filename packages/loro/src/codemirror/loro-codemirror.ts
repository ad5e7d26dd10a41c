import { EditorState, type Extension, Prec } from "@codemirror/state"
import { EditorView, keymap, ViewPlugin } from "@codemirror/view"
import type { Presence } from "@dunlin/core"

import type { TextSource } from "../text/text-source.ts"
import { createTextUndo, type TextUndo } from "../text/text-undo.ts"
import { remoteCursors } from "./remote-cursors.ts"
import { createTextSync } from "./text-sync.ts"

/** What the editor shows and shares. */
export interface LoroCodeMirrorOptions {
  /** The text that the editor shows, such as `textOf(document, "body")`. */
  readonly text: TextSource
  /** `room.presence`: shows the cursors of the others, and ours to them. */
  readonly presence?: Presence
  /** An undo for all bindings of the document; by default the editor makes its own. */
  readonly undo?: TextUndo
}

/**
 * Binds a CodeMirror 6 editor to a Loro text, with undo of what was typed here (leave out CodeMirror's own
 * `history()`) and the cursors of the others. The editor's document is set to the text at once.
 */
export function loroCodeMirror({ text, presence, undo }: LoroCodeMirrorOptions): Extension {
  const sync = ViewPlugin.define((view) =>
    createTextSync(
      view,
      text,
      undo === undefined ? { undo: createTextUndo(text.doc()), shared: false } : { undo, shared: true },
    ),
  )
  const run =
    (action: "undo" | "redo") =>
    (view: EditorView): boolean => {
      view.plugin(sync)?.run(action)
      return true
    }
  return [
    // Loro counts every character, so the editor must not count "\r\n" as one.
    EditorState.lineSeparator.of("\n"),
    sync,
    Prec.high(
      keymap.of([
        { key: "Mod-z", run: run("undo"), shift: run("redo"), preventDefault: true },
        { key: "Mod-y", run: run("redo"), preventDefault: true },
      ]),
    ),
    EditorView.domEventHandlers({
      beforeinput(event, view) {
        if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return false
        event.preventDefault()
        return run(event.inputType === "historyUndo" ? "undo" : "redo")(view)
      },
    }),
    presence === undefined ? [] : remoteCursors(text, presence),
  ]
}
