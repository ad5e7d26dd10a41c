import { expect, test } from "vitest"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createPurposeTimers } from "./purpose-timers.ts"

test("there is one timer a purpose, the newest, and none after closing", async () => {
  const time = createSimulatedTime()
  const timers = createPurposeTimers(time.clock())
  const woken: string[] = []
  timers.start("a", 10, () => woken.push("first"))
  timers.start("a", 20, () => woken.push("second"))
  timers.startOnce("a", 5, () => woken.push("never"))
  timers.startOnce("b", 5, () => woken.push("b"))
  expect([timers.has("a"), timers.has("c")]).toEqual([true, false])
  await time.runFor(100)
  expect(woken).toEqual(["b", "second"])
  timers.start("c", 1, () => woken.push("cancelled"))
  timers.cancel("c")
  timers.start("d", 1, () => woken.push("closed"))
  timers.close()
  timers.start("e", 1, () => woken.push("late"))
  await time.runFor(100)
  expect([woken.length, time.pending]).toEqual([2, 0])
})
