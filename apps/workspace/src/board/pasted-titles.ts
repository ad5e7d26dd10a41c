import { cutText } from "../data/cut-text.ts"
import { MAX_TITLE } from "../data/entries.ts"

const LIST_MARK = /^(?:[-*+•]|\d{1,6}[.)])\s+(?:\[[ xX]\]\s+)?/

/** Each line of a pasted list as the title of a task, without the marks of the list. */
export function readTitles(text: string): readonly string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) => cutText(line.trim().replace(LIST_MARK, ""), MAX_TITLE))
    .filter((title) => title !== "")
}
