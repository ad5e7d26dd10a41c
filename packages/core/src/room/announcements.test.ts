import { describe, expect, test } from "vitest"
import { decodeMessage } from "../protocol/message.ts"
import { createOutbox } from "../protocol/outbox.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createAnnouncements } from "./announcements.ts"
import { createPurposeTimers } from "./purpose-timers.ts"

function create() {
  const time = createSimulatedTime()
  const said: number[] = []
  const path = { buffered: 0 }
  const outbox = createOutbox({
    maxMessageBytes: 65_536,
    send: (_lane, bytes) => {
      for (const { frame } of decodeMessage(bytes)) if (frame.type === "have") said.push(frame.items.length)
    },
    buffered: () => path.buffered,
  })
  const timers = createPurposeTimers(time.clock(), () => outbox.flush())
  const announcements = createAnnouncements({ slot: 0, outbox, timers })
  const add = (n: number, delayMs: number): void =>
    announcements.add(new Uint8Array(16).fill(n), new Uint8Array(16).fill(n), delayMs)
  return { time, said, path, timers, announcements, add }
}

describe("announcements", () => {
  test("of one moment are one frame", async () => {
    const { time, said, add } = create()
    for (let n = 0; n < 200; n++) add(n, 0)
    await time.runFor(1)
    expect(said).toEqual([200])
  })

  test("of very many are said a part at a time: a transport closes over what it cannot hold", async () => {
    const { time, said, announcements } = create()
    for (let n = 0; n < 40_000; n++) {
      const position = new Uint8Array(16)
      new DataView(position.buffer).setUint32(0, n)
      announcements.add(position, position, 0)
    }
    await time.runFor(1)
    expect(said.reduce((sum, items) => sum + items, 0)).toBeLessThan(12_000)
    await time.runFor(2_000)
    expect(said.reduce((sum, items) => sum + items, 0)).toBe(40_000)
  })

  test("wait for their time, unless one that is due sooner takes them along", async () => {
    const { time, said, add } = create()
    add(1, 100)
    await time.runFor(99)
    expect(said).toEqual([])
    add(2, 0)
    await time.runFor(1)
    expect(said).toEqual([2])
    await time.runFor(500)
    expect(said).toEqual([2])
  })

  test("say an entry once, in its newest state", async () => {
    const { time, said, announcements } = create()
    const position = new Uint8Array(16)
    announcements.add(position, new Uint8Array(16).fill(1), 0)
    announcements.add(position, new Uint8Array(16).fill(2), 0)
    await time.runFor(1)
    expect(said).toEqual([1])
  })

  test("wait while the peer does not keep up, and are said when it does", async () => {
    const { time, said, path, add } = create()
    path.buffered = 1_000_000
    add(1, 0)
    await time.runFor(5_000)
    expect(said).toEqual([])
    path.buffered = 0
    await time.runFor(200)
    expect(said).toEqual([1])
  })

  test("of a link that is closed are never said", async () => {
    const { time, said, timers, announcements, add } = create()
    add(1, 100)
    timers.close()
    announcements.clear()
    add(2, 0)
    await time.runFor(1_000)
    expect([said, time.pending]).toEqual([[], 0])
  })
})
