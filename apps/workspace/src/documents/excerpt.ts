const MAX_LENGTH = 120
/** How much of a text is read: markup that is dropped must not use up the excerpt. */
const READ_LENGTH = 600

/** The beginning of a Markdown text in one line of plain words, without a heading that repeats the title. */
export function excerptOf(text: string, title: string): string {
  const lines = text.slice(0, READ_LENGTH).split("\n").map(plainLine).filter((line) => line !== "") // prettier-ignore
  if (lines.length > 1 && isSame(lines[0] ?? "", title)) lines.shift()
  return shorten(lines.join(" ").replaceAll(/\s+/g, " ").trim())
}

/** Cut after a word, with an ellipsis. */
function shorten(text: string): string {
  if (text.length <= MAX_LENGTH) return text
  const end = text.lastIndexOf(" ", MAX_LENGTH - 1)
  return `${text.slice(0, end > MAX_LENGTH / 2 ? end : MAX_LENGTH - 1)}…`
}

function plainLine(line: string): string {
  if (/^\s*\|?(?:\s*:?-{2,}:?\s*\|?)+\s*$/.test(line)) return ""
  const isRow = /^\s*\|.*\|\s*$/.test(line)
  const words = line.replace(/^\s*(?:#{1,6}|>|[-*+]|\d+\.) /, "").replaceAll(/\*\*|[*_`]/g, "")
  return (isRow ? words.split("|").map((cell) => cell.trim()).filter((cell) => cell !== "").join(", ") : words).trim() // prettier-ignore
}

/** Below the title "Winter count: how we do it", the heading "Winter count" adds nothing. */
function isSame(heading: string, title: string): boolean {
  return heading !== "" && title.toLowerCase().startsWith(heading.toLowerCase())
}
