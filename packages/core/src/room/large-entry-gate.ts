import type { LargeEntryGate } from "../protocol/inbox.ts"

/** The one place of a room for an entry beyond the usual limit; `askAgain` has every link that waits for it ask again. */
export function createLargeEntryGate(askAgain: () => void): LargeEntryGate {
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
      askAgain()
    },
    isWanted() {
      // Whoever waited may be gone, or have what it waited for.
      isWanted = false
      askAgain()
      return isWanted
    },
  }
}
