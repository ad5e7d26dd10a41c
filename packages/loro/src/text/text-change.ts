import type { Delta } from "loro-crdt"

/** Replaces `remove` UTF-16 units at `at` by `insert`. */
export interface Splice {
  readonly at: number
  readonly remove: number
  readonly insert: string
}

/**
 * The smallest splice from `before` to `after`, or null. `caret` is where the caret stands after the change: if several
 * places explain it, as with a letter typed among equal ones, the place before the caret is taken.
 */
export function findSplice(before: string, after: string, caret: number = after.length): Splice | null {
  if (before === after) return null
  const most = Math.min(before.length, after.length)
  const suffixLimit = Math.min(most, Math.max(0, after.length - caret))
  let suffix = 0
  while (suffix < suffixLimit && before.at(-1 - suffix) === after.at(-1 - suffix)) suffix++
  let prefix = 0
  while (prefix < most - suffix && before[prefix] === after[prefix]) prefix++
  // What the caret does not decide, such as a deletion to its right, must still be as small as possible.
  while (suffix < most - prefix && before.at(-1 - suffix) === after.at(-1 - suffix)) suffix++
  if (splitsPair(before, prefix) || splitsPair(after, prefix)) prefix--
  if (splitsPair(before, before.length - suffix) || splitsPair(after, after.length - suffix)) suffix--
  return {
    at: prefix,
    remove: before.length - suffix - prefix,
    insert: after.slice(prefix, after.length - suffix),
  }
}

/** The splices of one delta, each in the coordinates that the previous ones leave behind. */
export function splicesOf(delta: readonly Delta<string>[]): readonly Splice[] {
  const splices: Splice[] = []
  let at = 0
  for (const part of delta) {
    if (part.retain !== undefined) at += part.retain
    else if (part.insert !== undefined) {
      splices.push({ at, remove: 0, insert: part.insert })
      at += part.insert.length
    } else if (part.delete !== undefined) splices.push({ at, remove: part.delete, insert: "" })
  }
  return splices
}

export function applySplice(text: string, { at, remove, insert }: Splice): string {
  return text.slice(0, at) + insert + text.slice(at + remove)
}

/** Where a position moves. At the place of an insertion, `side` says whether it ends up before or after it. */
export function movePosition(
  position: number,
  { at, remove, insert }: Splice,
  side: "before" | "after",
): number {
  if (position < at || (position === at && side === "before")) return position
  if (position >= at + remove) return position + insert.length - remove
  return side === "before" ? at : at + insert.length
}

/** The same replacement if `other` happened first: what `other` inserted inside its range stays. */
export function transformSplice(splice: Splice, other: Splice): readonly Splice[] {
  const end = splice.at + splice.remove
  const inside = other.insert !== "" && other.at > splice.at && other.at < end && other.remove === 0
  if (inside) {
    const left: Splice = { at: splice.at, remove: other.at - splice.at, insert: splice.insert }
    // The second part begins behind what the first one inserts and what `other` inserted.
    const right: Splice = {
      at: splice.at + splice.insert.length + other.insert.length,
      remove: end - other.at,
      insert: "",
    }
    return [left, right]
  }
  const from = movePosition(splice.at, other, splice.remove > 0 ? "after" : "before")
  const to = Math.max(from, movePosition(end, other, "before"))
  return [{ at: from, remove: splice.remove === 0 ? 0 : to - from, insert: splice.insert }]
}

/** Whether a cut at `at` would split a surrogate pair. */
export function splitsPair(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return false
  const [left, right] = [text.charCodeAt(at - 1), text.charCodeAt(at)]
  return left >= 0xd800 && left < 0xdc00 && right >= 0xdc00 && right < 0xe000
}
