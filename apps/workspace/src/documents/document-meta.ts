import type { LoroDoc } from "loro-crdt"
import { cutText } from "../data/cut-text.ts"

export const LANGUAGES = [
  ["", "Not set"],
  ["en", "English"],
  ["de", "Deutsch"],
  ["es", "Español"],
  ["fr", "Français"],
  ["it", "Italiano"],
  ["nl", "Nederlands"],
  ["pt", "Português"],
  ["ja", "日本語"],
  ["zh", "中文"],
] as const

export const MAX_DESCRIPTION = 300

export interface DocumentMeta {
  readonly description: string
  readonly language: string
}

/** Peers write here, so only values that make sense are read. */
export function readMeta(doc: LoroDoc): DocumentMeta {
  const map = doc.getMap("meta")
  const [description, language] = [map.get("description"), map.get("language")]
  return {
    description: typeof description === "string" ? cutText(description, MAX_DESCRIPTION) : "",
    language: LANGUAGES.find(([code]) => code === language)?.[0] ?? "",
  }
}
