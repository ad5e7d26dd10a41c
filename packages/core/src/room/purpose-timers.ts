import type { Clock } from "../ports/clock.ts"

/** One timer per purpose: starting it again replaces it. */
export interface PurposeTimers {
  start(purpose: string, delayMs: number, wake: () => void): void
  /** Starts unless a timer of that purpose is running. */
  startOnce(purpose: string, delayMs: number, wake: () => void): void
  has(purpose: string): boolean
  cancel(purpose: string): void
  /** Cancels all timers; none starts any more. */
  close(): void
}

/** `afterwards` is called after every wake. */
export function createPurposeTimers(clock: Clock, afterwards = (): void => {}): PurposeTimers {
  const cancelByPurpose = new Map<string, () => void>()
  let closed = false

  const cancel = (purpose: string): void => {
    cancelByPurpose.get(purpose)?.()
    cancelByPurpose.delete(purpose)
  }
  const start: PurposeTimers["start"] = (purpose, delayMs, wake) => {
    cancel(purpose)
    if (closed) return
    const cancelTimer = clock.after(delayMs, () => {
      cancelByPurpose.delete(purpose)
      wake()
      afterwards()
    })
    cancelByPurpose.set(purpose, cancelTimer)
  }

  return {
    start,
    startOnce(purpose, delayMs, wake) {
      if (!cancelByPurpose.has(purpose)) start(purpose, delayMs, wake)
    },
    has: (purpose) => cancelByPurpose.has(purpose),
    cancel,
    close() {
      closed = true
      for (const purpose of cancelByPurpose.keys()) cancel(purpose)
    },
  }
}
