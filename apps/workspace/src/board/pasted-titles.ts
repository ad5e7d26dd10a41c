import { MAX_TITLE } from "../data/entries.ts"

/** The first half of a character that was cut in two. */
const HALF_CHARACTER = /[\ud800-\udbff]$/
const LIST_MARK = /^(?:[-*+•]|\d{1,6}[.)])\s+(?:\[[ xX]\]\s+)?/

/** Each line of a pasted list as the title of a task, without the marks of the list. */
export function readTitles(text: string): readonly string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trim().replace(LIST_MARK, "").slice(0, MAX_TITLE).replace(HALF_CHARACTER, ""))
    .filter((title) => title !== "")
}
