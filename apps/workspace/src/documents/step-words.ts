import { relativeDay } from "../ui/relative-time.ts"
import type { ListedStep } from "./versions.ts"
import type { Writer } from "./use-writers.ts"

const TIME = new Intl.DateTimeFormat("en", { timeStyle: "short", hourCycle: "h23" })
const MAX_NAMES = 2

/** "14:02", or "14:02–14:20". */
export function spanWords({ from, to }: Pick<ListedStep, "from" | "to">): string {
  if (from <= 0) return "Time not known"
  const [begin, end] = [TIME.format(from), TIME.format(to)]
  if (relativeDay(from) !== relativeDay(to)) return `${relativeDay(from)}, ${begin} – ${end}`
  return begin === end ? begin : `${begin}–${end}`
}

/** The day a step ended: "Today", "Yesterday", or a date. */
export function dayWords({ from, to }: Pick<ListedStep, "from" | "to">): string {
  return from <= 0 ? "Before times were kept" : relativeDay(to)
}

/** "You and Ben", "Ada, Ben and 2 others". */
export function writerWords(writers: readonly Writer[]): string {
  const names = [...new Set(writers.map(({ name, self }) => (self ? "You" : name)))]
  const shown = names.slice(0, MAX_NAMES)
  const left = names.length - shown.length
  if (left > 0) return `${shown.join(", ")} and ${left} ${left === 1 ? "other" : "others"}`
  return shown.join(" and ")
}

/** What a step did, in a few words. */
export function changeWords({ change, isRestore }: Pick<ListedStep, "change" | "isRestore">): string {
  if (isRestore) return "Brought back an earlier version"
  if (change.excerpt !== "") return change.excerpt
  if (change.added > 0) return "Blank lines"
  return change.removed > 0 ? "Took text out" : "Description or language"
}

/** Puts "+120 −34" into words for screen readers. */
export function countWords({ added, removed }: ListedStep["change"]): string {
  const parts = [added > 0 && `${count(added)} added`, removed > 0 && `${count(removed)} removed`]
  return parts.filter((part) => part !== false).join(", ")
}

function count(characters: number): string {
  return `${characters.toLocaleString("en")} ${characters === 1 ? "character" : "characters"}`
}
