import type { Clock, Millis } from "../ports/clock.ts"

/** One virtual time for a whole simulated world. Nothing in it ever waits for real time. */
export interface SimulatedTime {
  /** Virtual milliseconds since the start. */
  readonly now: Millis
  /** Events still to come. */
  readonly pending: number
  /** Calls `run` once, `delayMs` from now. Events of one instant run in the order in which they were scheduled. */
  schedule(delayMs: Millis, run: () => void): () => void
  /** The same at an absolute time: delays that are sums of others would lose their order to rounding. */
  scheduleAt(at: Millis, run: () => void): () => void
  /** Runs every event of the next `durationMs`, each after all promises before it have settled. */
  runFor(durationMs: Millis): Promise<void>
  /** The same until `isDone`, asked after each event; false when `limitMs` passed without it. */
  runUntil(isDone: () => boolean, limitMs: Millis): Promise<boolean>
  /** A clock for one simulated process. */
  clock(options?: { readonly wallMs?: Millis }): SimulatedClock
}

/** The clock of one simulated process. */
export interface SimulatedClock extends Clock {
  /** Moves the wall clock, as a time server or a user would; timers and `monotonic` take no notice. */
  step(byMs: Millis): void
  /** The process died: its timers never fire, and it gets no new ones. */
  stop(): void
}

interface Event {
  readonly at: Millis
  readonly order: number
  readonly run: () => void
  cancelled: boolean
}

/** Where wall clocks start: 2026-01-01, so that timestamps look like real ones. */
const WALL_START_MS = 1_767_225_600_000

/** A world at its first moment. It stands still until `runFor` or `runUntil` is called. */
export function createSimulatedTime(): SimulatedTime {
  const queue: Event[] = []
  let now = 0
  let order = 0
  let cancelledCount = 0

  const scheduleAt = (at: Millis, run: () => void): (() => void) => {
    const event: Event = { at: Math.max(now, at), order: order++, run, cancelled: false }
    push(queue, event)
    return () => {
      if (event.cancelled) return
      event.cancelled = true
      cancelledCount++
    }
  }

  const schedule = (delayMs: Millis, run: () => void): (() => void) => scheduleAt(now + delayMs, run)

  const takeNext = (before: Millis): Event | null => {
    for (;;) {
      const first = queue[0]
      if (first === undefined || first.at > before) return null
      pop(queue)
      if (!first.cancelled) {
        // What has run cannot be cancelled any more.
        first.cancelled = true
        return first
      }
      cancelledCount--
    }
  }

  const runUntil = async (isDone: () => boolean, limitMs: Millis): Promise<boolean> => {
    const end = now + limitMs
    await settlePromises()
    while (!isDone()) {
      const event = takeNext(end)
      if (event === null) {
        now = end
        return isDone()
      }
      now = event.at
      event.run()
      await settlePromises()
    }
    return true
  }

  return {
    get now() {
      return now
    },
    get pending() {
      return queue.length - cancelledCount
    },
    schedule,
    scheduleAt,
    runUntil,
    async runFor(durationMs) {
      await runUntil(() => false, durationMs)
    },
    clock({ wallMs = WALL_START_MS } = {}) {
      let offset = wallMs
      let stopped = false
      return {
        now: () => Math.floor(offset + now),
        monotonic: () => now,
        after(delayMs, wake) {
          if (stopped) return () => undefined
          return schedule(delayMs, () => {
            if (!stopped) wake()
          })
        },
        step(byMs) {
          offset += byMs
        },
        stop() {
          stopped = true
        },
      }
    },
  }
}

/** A new task of the event loop starts only when no promise is left to settle. */
const settlePromises: () => Promise<void> =
  typeof setImmediate === "function"
    ? () =>
        new Promise((resolve) => {
          setImmediate(resolve)
        })
    : () =>
        new Promise((resolve) => {
          const { port1, port2 } = new MessageChannel()
          port1.addEventListener("message", () => {
            port1.close()
            resolve()
          })
          port1.start()
          port2.postMessage(null)
        })

// A binary heap: the queue of a busy world is long, and every event goes through it.

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function push(heap: Event[], event: Event): void {
  let at = heap.length
  heap.push(event)
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent] as Event
    if (!isBefore(event, above)) break
    heap[at] = above
    at = parent
  }
  heap[at] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    const right = child + 1
    if (right < heap.length && isBefore(heap[right] as Event, heap[child] as Event)) child = right
    if (!isBefore(heap[child] as Event, last)) break
    heap[at] = heap[child] as Event
    at = child
  }
  heap[at] = last
}
