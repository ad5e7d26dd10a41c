import { mapKey, mapKeyBytes } from "../protocol/map-key.ts"

/**
 * The roots by which others may know this replica, and what changed since: lets a pair that meets again exchange just that.
 * It lives in memory and may forget or be wrong: roots are compared afterwards in any case, and a pair that knows no common
 * root reconciles.
 */
export interface RootHistory {
  /** The entry changed; the newest change of a position counts. */
  changed(position: Uint8Array): void
  /** A peer is told that this replica is at this root. */
  told(root: Uint8Array): void
  /** The device was at this root when nothing was left to exchange. */
  agreed(device: string, root: Uint8Array): void
  /** Where the device was when both last agreed. */
  basisFor(device: string): Uint8Array | null
  /** Positions changed here after anyone was told of the root; null when the root is not known, or no longer known. */
  since(root: Uint8Array): readonly Uint8Array[] | null
}

const MAX_ROOTS = 1_024
const MAX_CHANGES = 8_192
const KEPT_CHANGES = 7_000
const MAX_DEVICES = 256

export function createRootHistory(): RootHistory {
  /** In the order of their last change. */
  const changeByPosition = new Map<string, number>()
  const changeByRoot = new Map<string, number>()
  const rootByDevice = new Map<string, Uint8Array>()
  let changes = 0
  /** Changes up to here may have been forgotten. */
  let forgotten = 0

  return {
    changed(position) {
      const key = mapKey(position)
      changes++
      changeByPosition.delete(key)
      changeByPosition.set(key, changes)
      // Removes many at a time: to find its oldest entry, a Map walks over all those that were deleted before it.
      if (changeByPosition.size > MAX_CHANGES) forgotten = shrink(changeByPosition, KEPT_CHANGES) ?? forgotten
    },
    told(root) {
      const key = mapKey(root)
      changeByRoot.delete(key)
      changeByRoot.set(key, changes)
      shrink(changeByRoot, MAX_ROOTS)
    },
    agreed(device, root) {
      rootByDevice.delete(device)
      rootByDevice.set(device, root)
      shrink(rootByDevice, MAX_DEVICES)
    },
    basisFor: (device) => rootByDevice.get(device) ?? null,
    since(root) {
      const toldAt = changeByRoot.get(mapKey(root))
      if (toldAt === undefined || toldAt < forgotten) return null
      const positions: Uint8Array[] = []
      for (const [key, change] of [...changeByPosition].toReversed()) {
        if (change <= toldAt) break
        positions.push(mapKeyBytes(key))
      }
      return positions
    },
  }
}

/** Removes the oldest entries of a Map, and returns the value of the last one removed. */
function shrink<Value>(map: Map<string, Value>, size: number): Value | undefined {
  let last: Value | undefined
  for (const [key, value] of map) {
    if (map.size <= size) break
    map.delete(key)
    last = value
  }
  return last
}
