import { mapKeyBytes } from "../protocol/map-key.ts"
import { startsWithBytes } from "../protocol/same-bytes.ts"

/**
 * Entries that a peer is not known to hold and that nobody is sending it now: those that came from others while the link
 * was being reconciled, and those that differ and were asked of another peer. Equal roots settle them all; while roots stay
 * unequal, they are offered.
 */
export interface Owed {
  add(position: string, digest: Uint8Array): void
  /** The peer holds this digest (8 bytes or more). True when that was owed. */
  holds(position: string, digest: Uint8Array): boolean
  /** Whether the peer may lack any of these; any at all without `only`. */
  includes(only?: Iterable<string>): boolean
  /** There are more than can be kept. */
  readonly overflowed: boolean
  /** Returns their positions, which are then no longer owed; null if there were too many to keep. */
  take(): readonly Uint8Array[] | null
}

/** Beyond this, any entry may be owed until both sides agree. */
const MAX_OWED = 8_192

export function createOwed(): Owed {
  const digestByPosition = new Map<string, Uint8Array>()
  let overflowed = false
  return {
    add(position, digest) {
      if (digestByPosition.size < MAX_OWED || digestByPosition.has(position))
        digestByPosition.set(position, digest)
      else overflowed = true
    },
    holds(position, digest) {
      const owed = digestByPosition.get(position)
      return owed !== undefined && startsWithBytes(owed, digest) && digestByPosition.delete(position)
    },
    includes(only = digestByPosition.keys()) {
      for (const position of only) if (digestByPosition.has(position)) return true
      return overflowed
    },
    get overflowed() {
      return overflowed
    },
    take() {
      const positions = overflowed ? null : [...digestByPosition.keys()].map(mapKeyBytes)
      digestByPosition.clear()
      overflowed = false
      return positions
    },
  }
}
