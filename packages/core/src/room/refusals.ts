import { mapKey } from "../protocol/map-key.ts"
import { itemDigestOf } from "../protocol/range-record.ts"
import { NO_BYTES, sameBytes, startsWithBytes } from "../protocol/same-bytes.ts"

/** Entries of one replica that cannot travel over one link as they are: nobody offers or asks for them again. */
export interface Refusals {
  /** Positions to digests that the peer refused. */
  readonly byPeer: Map<string, Uint8Array>
  /** Whether the peer refused this digest (8 bytes or more): not sent again while it stands. */
  isByPeer(position: Uint8Array, digest: Uint8Array): boolean
  /** The peer could not take this digest (8 bytes) now: its next acknowledgement confirms nothing. */
  putOff(position: Uint8Array, digest: Uint8Array): void
  /** Whether an acknowledgement is for a digest that was put off; each putting off counts once. */
  takePutOff(position: Uint8Array, digest: Uint8Array): boolean
  /**
   * This side refused the entry with this digest (8 bytes): it is not asked for again while the digest stands. True the
   * first time while this side holds the state `held`.
   */
  decline(position: Uint8Array, digest: Uint8Array, held: Uint8Array | undefined): boolean
  /** With as much of the digest as a RANGE record says. */
  hasDeclined(position: Uint8Array, itemDigest: number): boolean
}

/** Beyond this a refused entry is asked for, and refused, once more. */
const MAX_DECLINED = 4_096
/**
 * Entries that the peer has put off and not acknowledged yet. An entry that waits for its blobs holds back the
 * acknowledgements of all that come after it; beyond this limit, some entries would count as held that are not.
 */
const MAX_PUT_OFF = 65_536

export function createRefusals(): Refusals {
  const declined = new Map<string, { readonly itemDigest: number; readonly held: Uint8Array | undefined }>()
  const putOffCounts = new Map<string, number>()
  const byPeer = new Map<string, Uint8Array>()
  return {
    byPeer,
    isByPeer: (position, digest) => startsWithBytes(byPeer.get(mapKey(position)) ?? NO_BYTES, digest),
    putOff(position, digest) {
      const key = mapKey(position) + mapKey(digest)
      if (putOffCounts.size < MAX_PUT_OFF) putOffCounts.set(key, (putOffCounts.get(key) ?? 0) + 1)
    },
    takePutOff(position, digest) {
      const key = mapKey(position) + mapKey(digest)
      const count = putOffCounts.get(key) ?? 0
      if (count > 1) putOffCounts.set(key, count - 1)
      else putOffCounts.delete(key)
      return count > 0
    },
    decline(position, digest, held) {
      const key = mapKey(position)
      const former = declined.get(key)?.held
      declined.delete(key)
      declined.set(key, { itemDigest: itemDigestOf(digest), held })
      const oldest = declined.keys().next().value
      if (declined.size > MAX_DECLINED && oldest !== undefined) declined.delete(oldest)
      return held !== undefined && (former === undefined || !sameBytes(former, held))
    },
    hasDeclined: (position, itemDigest) => declined.get(mapKey(position))?.itemDigest === itemDigest,
  }
}
