import { describe, expect, test } from "vitest"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"
import { createHeartbeat, type Heartbeat } from "./heartbeat.ts"

function create(answer: (heartbeat: Heartbeat, nonce: number, time: SimulatedTime) => void) {
  const time = createSimulatedTime()
  const pings: number[] = []
  const silentAt: number[] = []
  const heartbeat = createHeartbeat({
    clock: time.clock(),
    random: createSeededRandom("beat"),
    ping: (nonce) => {
      pings.push(time.now)
      answer(heartbeat, nonce, time)
    },
    silent: () => {
      silentAt.push(time.now)
      heartbeat.close()
    },
    measured: () => {},
  })
  return { time, heartbeat, pings, silentAt }
}

describe("a heartbeat", () => {
  test("pings at once and about every fifteen seconds, and measures the way", async () => {
    const { time, heartbeat, pings, silentAt } = create((own, nonce, world) => {
      world.schedule(80, () => {
        own.heard()
        own.pong(nonce)
      })
    })
    heartbeat.start()
    await time.runFor(120_000)
    expect(pings[0]).toBe(0)
    expect(pings.length).toBeGreaterThanOrEqual(8)
    expect(pings.length).toBeLessThanOrEqual(10)
    expect(heartbeat.rttMs).toBe(80)
    expect(silentAt).toEqual([])
    heartbeat.close()
    expect(time.pending).toBe(0)
  })

  test("gives a link up that was silent for forty seconds, not for five", async () => {
    const { time, heartbeat, silentAt } = create(() => {})
    heartbeat.start()
    await time.runFor(20_000)
    heartbeat.heard()
    await time.runFor(39_000)
    expect(silentAt).toEqual([])
    await time.runFor(20_000)
    expect(silentAt).toHaveLength(1)
    expect(time.pending).toBe(0)
  })

  test("asks a peer that is said to be gone at once, and gives it up when it stays silent", async () => {
    const { time, heartbeat, pings, silentAt } = create(() => {})
    heartbeat.start()
    heartbeat.heard()
    await time.runFor(1_000)
    heartbeat.doubt()
    heartbeat.doubt()
    expect(pings).toEqual([0, 1_000])
    await time.runFor(2_000)
    expect(silentAt).toEqual([2_500])
    expect(time.pending).toBe(0)
  })

  test("believes the peer, not those who say that it is gone, however slow the way is", async () => {
    const { time, heartbeat, silentAt } = create((own, nonce, world) => {
      world.schedule(1_900, () => {
        own.heard()
        own.pong(nonce)
      })
    })
    heartbeat.start()
    await time.runFor(5_000)
    heartbeat.doubt()
    await time.runFor(9_000)
    expect(silentAt).toEqual([])
  })

  test("takes no answer to what it did not ask", () => {
    const { heartbeat } = create(() => {})
    heartbeat.start()
    heartbeat.pong(12_345)
    expect(heartbeat.rttMs).toBeNull()
  })
})
