import type { Random } from "../ports/random.ts"

export interface BackOff {
  /** The next delay: doubles from `firstMs` to `longestMs`, half of it random so that crowds spread out. */
  next(): number
  /** Calls of `next` since the last reset. */
  readonly failures: number
  reset(): void
}

export function createBackOff(
  random: Random,
  { firstMs, longestMs }: { readonly firstMs: number; readonly longestMs: number },
): BackOff {
  let failures = 0
  return {
    next() {
      const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(failures, 30))
      failures += 1
      return ceiling * (0.5 + random.unit() / 2)
    },
    get failures() {
      return failures
    },
    reset() {
      failures = 0
    },
  }
}
