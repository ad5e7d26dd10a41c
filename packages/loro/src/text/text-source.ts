import { LoroDoc, type LoroText } from "loro-crdt"

import type { LoroDocument } from "../loro-documents.ts"

/** A text inside a document, to which editors are bound. It outlives the instance that holds it. */
export interface TextSource {
  /** Names the document to peers, for cursors; empty for a document without a replica. */
  readonly documentId: string
  /** The present instance of the document. */
  doc(): LoroDoc
  /** The text in that instance. */
  text(): LoroText
  /** Whether the text can be edited now. */
  isWritable(): boolean
  /** Calls `listener` when `doc` and `text` have become other objects, or the document was deleted or closed. */
  subscribe(listener: () => void): () => void
}

/**
 * A text of a document, which is an open document of a replica or any `LoroDoc`. `where` is the name of a root text, or a
 * function that finds the text.
 */
export function textOf(
  document: LoroDocument | LoroDoc,
  where: string | ((doc: LoroDoc) => LoroText),
): TextSource {
  const find = typeof where === "string" ? (doc: LoroDoc): LoroText => doc.getText(where) : where
  if (document instanceof LoroDoc) {
    return {
      documentId: "",
      doc: () => document,
      text: () => find(document),
      isWritable: () => isEditable(document),
      subscribe: () => () => undefined,
    }
  }
  return {
    documentId: document.id,
    doc: () => document.doc,
    text: () => find(document.doc),
    isWritable: () => document.status.get().phase === "open" && isEditable(document.doc),
    subscribe: (listener) => document.status.subscribe(listener),
  }
}

function isEditable(doc: LoroDoc): boolean {
  return !doc.isDetached() || doc.isDetachedEditingEnabled()
}
