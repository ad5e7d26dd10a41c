import { wordAt } from "./entry-words.ts"
import type { FingerprintIndex } from "./fingerprint-index.ts"

/**
 * How the peer's root differs from ours, as a text that is equal for equal differences: in the number of entries, and lane
 * by lane mod 2^32. Entries that may not travel (refused, or kept back) cause a difference that stays the same while both
 * sides apply the same changes, so it can be told from a new one without remembering the entries.
 */
export function differenceOf(
  index: FingerprintIndex,
  theirs: { readonly root: Uint8Array; readonly count: number },
): string {
  const mine = index.root()
  const lanes = [0, 4, 8, 12].map((at) => (wordAt(theirs.root, at) - wordAt(mine, at)) >>> 0)
  return `${theirs.count - index.count} ${lanes.join(" ")}`
}
