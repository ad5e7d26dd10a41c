import type { Clock } from "@dunlin/core"

/** How often something may be done: so many times at once, and then so many times a second. */
export interface OpeningBudget {
  /** False when it is used up for now. */
  take(): boolean
}

export function createOpeningBudget(
  clock: Clock,
  { burst, perSecond }: { readonly burst: number; readonly perSecond: number },
): OpeningBudget {
  let left = burst
  let filledAt = clock.monotonic()
  return {
    take() {
      const now = clock.monotonic()
      left = Math.min(burst, left + ((now - filledAt) / 1000) * perSecond)
      filledAt = now
      if (left < 1) return false
      left -= 1
      return true
    },
  }
}
