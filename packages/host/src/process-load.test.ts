import { createSimulatedTime } from "@dunlin/core/testing"
import { expect, test } from "vitest"
import { createProcessLoad } from "./process-load.ts"

test("a heap beyond its share is a reason to take no more sockets", () => {
  const clock = createSimulatedTime().clock()
  const full = createProcessLoad({ maxLoopLagMs: 200, maxHeapPercent: 0 }, clock)
  const roomy = createProcessLoad({ maxLoopLagMs: 200, maxHeapPercent: 100 }, clock)
  expect(full.overload()).toBe("heap")
  expect(full.heapPercent()).toBeGreaterThan(0)
  expect(roomy.overload()).toBeNull()
  full.close()
  roomy.close()
})
