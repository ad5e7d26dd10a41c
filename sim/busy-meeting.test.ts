import { expect, test } from "vitest"
import { runBusyMeeting } from "./busy-meeting.ts"

const quantile = (values: readonly number[], at: number): number =>
  values[Math.floor(values.length * at)] ?? Number.NaN

test("two that lack more of each other than a link may want at once come together while both type", async () => {
  for (const path of [
    { latencyMs: 10, bytesPerMs: 12_500 },
    { latencyMs: 75, bytesPerMs: 2_500 },
  ]) {
    const { differing, pressesMs, mostRequests } = await runBusyMeeting(path, 12_000)
    expect(differing).toBe(0)
    expect(quantile(pressesMs, 0.95)).toBeLessThan(path.latencyMs + 100)
    expect(mostRequests).toBeGreaterThan(4)
  }
}, 60_000)

test("requests for ranges stay few on a slow path, where key presses would wait behind them", async () => {
  const { mostRequests, comparedMs } = await runBusyMeeting({ latencyMs: 10, bytesPerMs: 250 }, 5_000)
  expect(mostRequests).toBeLessThanOrEqual(4)
  expect(comparedMs).toBeGreaterThan(500)
}, 60_000)

test("an answer that takes longer than a run waits at first is waited for in the end", async () => {
  const { differing } = await runBusyMeeting({ latencyMs: 1_300, bytesPerMs: 12_500 }, 40_000, 0)
  expect(differing).toBe(0)
}, 60_000)
