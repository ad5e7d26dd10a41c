import { cutText } from "../data/cut-text.ts"

/** A long title would fill the message that names it. */
const MAX_QUOTED = 40

/** The title of a document within a sentence. */
export function quotedTitle(title: string): string {
  const start = cutText(title, MAX_QUOTED)
  return `“${start.length < title.length ? `${start.trimEnd()}…` : title || "Untitled"}”`
}
