import type { LoroText } from "loro-crdt"

import { splitsPair } from "./text-change.ts"

/** Shorter pieces cost more bytes, longer ones more time. */
const PIECE_LENGTH = 4_096

/**
 * Inserts into a text, at a position in UTF-16 units. To merge one long insertion with edits that others made meanwhile,
 * Loro takes a time that grows with the square of its length, since it cuts the insertion into ever more parts that
 * refer to each other. Pieces that are inserted one before the other, from the last to the first, Loro never joins.
 */
export function insertText(text: LoroText, at: number, inserted: string): void {
  let end = inserted.length
  while (end > PIECE_LENGTH) {
    const even = end - PIECE_LENGTH
    const start = splitsPair(inserted, even) ? even + 1 : even
    text.insert(at, inserted.slice(start, end))
    end = start
  }
  if (end > 0) text.insert(at, inserted.slice(0, end))
}
