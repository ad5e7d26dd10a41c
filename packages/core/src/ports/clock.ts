/** Milliseconds. `now` counts them since the Unix epoch, but may jump: order events by `monotonic`. */
export type Millis = number

/** Time as an input, so that the simulator can run production code in virtual time. */
export interface Clock {
  /** Wall clock; may jump in either direction. */
  now(): Millis
  /** Never goes back; its zero is arbitrary. */
  monotonic(): Millis
  /** Calls `wake` once after at least `delayMs`. Returns the function that cancels it. */
  after(delayMs: Millis, wake: () => void): () => void
}

/** The real clock. Its timers do not keep a Node process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after(delayMs, wake) {
      // Longer delays overflow the platform's 32 bits and would fire at once.
      const timer = setTimeout(wake, Math.min(delayMs, 0x7fff_ffff))
      // Browsers return a number; in Node an idle room must not hold the process open by its timers.
      if (typeof timer === "object" && "unref" in timer) (timer as { unref(): void }).unref()
      return () => clearTimeout(timer)
    },
  }
}
