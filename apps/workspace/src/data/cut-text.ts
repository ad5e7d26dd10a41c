/** The first half of a character that was cut in two. */
const HALF_CHARACTER = /[\ud800-\udbff]$/

/** At most so many UTF-16 units, and no character cut in two: half of one is shown as a mark, and cannot be encoded. */
export function cutText(text: string, most: number): string {
  return text.length <= most ? text : text.slice(0, most).replace(HALF_CHARACTER, "")
}
