import { bytesEqual, mapKey } from "../protocol/bytes-equal.ts"
import { itemDigestOf } from "../protocol/range-record.ts"

/** Entries of one replica that cannot travel over one link as they are: nobody offers or asks for them again. */
export interface Refusals {
  /** Positions to digests that the peer refused; not sent again while the digest stands. */
  readonly byPeer: Map<string, Uint8Array>
  /** Positions to digests (8 bytes) that the peer could not take now: their acknowledgement confirms nothing. */
  readonly putOff: Map<string, Uint8Array>
  /** This side refused the entry with this digest (8 bytes): it is not asked for again while the digest stands. */
  decline(position: Uint8Array, digest: Uint8Array): void
  hasDeclined(position: Uint8Array, digest: Uint8Array): boolean
  /** The same, for what a RANGE record says of a digest. */
  hasDeclinedItem(position: Uint8Array, itemDigest: number): boolean
}

/** Beyond this a refused entry is asked for, and refused, once more. */
const MAX_DECLINED = 4_096

export function createRefusals(): Refusals {
  const declined = new Map<string, Uint8Array>()
  return {
    byPeer: new Map(),
    putOff: new Map(),
    decline(position, digest) {
      const key = mapKey(position)
      declined.delete(key)
      declined.set(key, digest)
      const oldest = declined.keys().next().value
      if (declined.size > MAX_DECLINED && oldest !== undefined) declined.delete(oldest)
    },
    hasDeclined(position, digest) {
      const refused = declined.get(mapKey(position))
      return refused !== undefined && bytesEqual(refused, digest)
    },
    hasDeclinedItem(position, itemDigest) {
      const refused = declined.get(mapKey(position))
      return refused !== undefined && itemDigestOf(refused) === itemDigest
    },
  }
}
