import type { FingerprintIndex } from "./fingerprint-index.ts"

/**
 * How the peer's root differs from ours: lane by lane, mod 2^32, and in the number of entries. Entries that may not travel
 * (refused, or kept back) cause a difference that stays the same while both sides apply the same changes, so it can be
 * told from a new one without remembering the entries.
 */
export interface RootDifference {
  readonly lanes: readonly [number, number, number, number]
  readonly count: number
}

export function differenceOf(
  index: FingerprintIndex,
  theirs: { readonly root: Uint8Array; readonly count: number },
): RootDifference {
  const mine = lanesOf(index.root())
  const their = lanesOf(theirs.root)
  return {
    lanes: [
      (their[0] - mine[0]) >>> 0,
      (their[1] - mine[1]) >>> 0,
      (their[2] - mine[2]) >>> 0,
      (their[3] - mine[3]) >>> 0,
    ],
    count: theirs.count - index.count,
  }
}

export function sameDifference(a: RootDifference | null, b: RootDifference | null): boolean {
  if (a === null || b === null) return false
  return a.count === b.count && a.lanes.every((lane, at) => lane === b.lanes[at])
}

function lanesOf(root: Uint8Array): readonly [number, number, number, number] {
  const view = new DataView(root.buffer, root.byteOffset, 16)
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)]
}
