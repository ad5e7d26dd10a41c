import { insertText } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import { readMeta, type DocumentMeta } from "./document-meta.ts"

/** What a document holds besides its row in the list. */
export interface DocumentContent extends DocumentMeta {
  readonly text: string
}

export function contentOf(text: string): DocumentContent {
  return { text, description: "", language: "" }
}

export function readContent(doc: LoroDoc): DocumentContent {
  return { text: doc.getText("body").toString(), ...readMeta(doc) }
}

/** Fills a new document. */
export function writeContent(doc: LoroDoc, { text, description, language }: DocumentContent): void {
  insertText(doc.getText("body"), 0, text)
  if (description !== "") doc.getMap("meta").set("description", description)
  if (language !== "") doc.getMap("meta").set("language", language)
}
