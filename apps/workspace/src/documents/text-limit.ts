import { EditorState, type Extension, Transaction } from "@codemirror/state"
import { MAX_BODY } from "../data/entries.ts"

/** Turns away what would make a text longer than other devices accept, and calls `refused`. */
export function textLimit(refused: () => void): Extension {
  return EditorState.changeFilter.of((transaction) => {
    const { length, newLength } = transaction.changes
    if (newLength <= MAX_BODY || newLength <= length) return true
    // What the document itself sends to the editor, such as the edits of others, is in the text already.
    if (transaction.annotation(Transaction.addToHistory) === false) return true
    refused()
    return false
  })
}
