import type { LargeEntryGate } from "../protocol/inbox.ts"

/** The one place of a room for an entry beyond the usual limit; `freed` is called each time the place is given back. */
export function createLargeEntryGate(freed: () => void): LargeEntryGate {
  let taken = false
  let isWanted = false
  return {
    acquire() {
      isWanted = taken
      if (taken) return false
      taken = true
      return true
    },
    release() {
      taken = false
      freed()
    },
    get isWanted() {
      return isWanted
    },
  }
}
