import { monitorEventLoopDelay } from "node:perf_hooks"
import { getHeapStatistics } from "node:v8"
import type { Clock, Millis } from "@dunlin/core"

export interface ProcessLoad {
  /** Event loop lag, 99th percentile of the last window, in milliseconds. */
  lagMs(): number
  heapPercent(): number
  /** Why the host should accept no more sockets, or null. */
  overload(): "lag" | "heap" | null
  close(): void
}

const WINDOW_MS = 5000
const RESOLUTION_MS = 10

export function createProcessLoad(
  limits: { readonly maxLoopLagMs: Millis; readonly maxHeapPercent: number },
  clock: Clock,
): ProcessLoad {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  let lagMs = 0
  let heapPercent = measureHeapPercent()
  let cancel = (): void => {}
  const turn = (): void => {
    lagMs = Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS)
    heapPercent = measureHeapPercent()
    histogram.reset()
    cancel = clock.after(WINDOW_MS, turn)
  }
  cancel = clock.after(WINDOW_MS, turn)

  return {
    lagMs: () => lagMs,
    heapPercent: () => heapPercent,
    overload() {
      if (lagMs > limits.maxLoopLagMs) return "lag"
      return heapPercent > limits.maxHeapPercent ? "heap" : null
    },
    close() {
      cancel()
      histogram.disable()
    },
  }
}

function measureHeapPercent(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
  return (used / limit) * 100
}
