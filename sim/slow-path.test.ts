import { expect, test } from "vitest"
import { runSlowMeeting, type SlowPath } from "./slow-path.ts"

const LIMIT_MS = 600_000
/** 96 kbit/s both ways unless said otherwise. */
const path = (bytesPerMs: readonly [number, number] = [12, 12], more: Partial<SlowPath> = {}): SlowPath => ({
  latencyMs: 10,
  bytesPerMs,
  ...more,
})

test.each([
  ["slow both ways", path([6, 6])],
  ["slow one way", path([60, 6])],
  ["with ten seconds of its capacity queued in the network", path([12, 12], { queueBytes: 120_000 })],
])(
  "thirty replicas on one link %s are compared once each, and nothing is sent twice",
  async (_name, slow) => {
    const apart = [20, 20] as const
    const meeting = await runSlowMeeting({ replicas: 30, shared: 400, apart }, slow, LIMIT_MS)
    expect(meeting).toMatchObject({ equal: true, runs: 30, entries: 30 * 40 })
  },
  60_000,
)

test.each([
  [62, 30_000],
  [6, 120_000],
])(
  "a path that falls from 12,500 to %d bytes a millisecond amid a comparison is waited for",
  async (rate, limitMs) => {
    const differences = { replicas: 1, shared: 10_000, apart: [1_000, 1_000] } as const
    const meeting = await runSlowMeeting(differences, path([rate, rate]), limitMs, 3)
    expect(meeting).toMatchObject({ equal: true, runs: 1, entries: 2_000 })
  },
  60_000,
)

test("a first sync goes on over a path that falls to 6 bytes a millisecond amid it", async () => {
  const differences = { replicas: 1, shared: 0, apart: [3_000, 0] } as const
  const meeting = await runSlowMeeting(differences, path([6, 6]), LIMIT_MS, 1)
  expect(meeting).toMatchObject({ equal: true, runs: 1, entries: 3_000 })
}, 60_000)

test.each([
  [[3_000, 0] as const, path()],
  [[0, 3_000] as const, path()],
  [[1_000, 1_000] as const, path([50, 50], { latencyMs: 10_000 })],
])(
  "of %j changes none comes twice while the path is slow to bring them: %j",
  async (changed, slow) => {
    const meeting = await runSlowMeeting(
      { replicas: 1, shared: 4_000, apart: [0, 0], changed },
      slow,
      LIMIT_MS,
    )
    expect(meeting).toMatchObject({ equal: true, runs: 1 })
    // Which state is newer shows only once the older one has arrived.
    expect(meeting.entries).toBeLessThanOrEqual(2 * (changed[0] + changed[1]))
  },
  60_000,
)
