import type { LargeEntryGate } from "../protocol/inbox.ts"

/** The one place of a room for an entry over the usual credit; `freed` is called each time it is given back. */
export function createLargeEntryGate(freed: () => void): LargeEntryGate {
  let taken = false
  return {
    acquire() {
      if (taken) return false
      taken = true
      return true
    },
    release() {
      taken = false
      freed()
    },
  }
}
