import { afterEach, describe, expect, test } from "vitest"
import { systemClock } from "../ports/clock.ts"
import type { Lane, PipeCloseReason } from "../ports/transport.ts"
import { createTabPipe, type TabPipe } from "./tab-pipe.ts"

interface Tab extends TabPipe {
  readonly channel: BroadcastChannel
  readonly heard: (readonly [Lane, Uint8Array])[]
  readonly closings: PipeCloseReason[]
  drained: number
  open(): void
}

const tabs: Tab[] = []
afterEach(() => {
  for (const { pipe } of tabs.splice(0)) pipe.close()
})

let rooms = 0

function createPair(): readonly [Tab, Tab] {
  const name = `tab-pipe-test-${process.pid}-${(rooms += 1)}`
  const pair = [1, 2].map((): Tab => {
    const channel = new BroadcastChannel(name)
    const tabPipe = createTabPipe({ channel, remote: "other", clock: systemClock(), closed() {} })
    const tab: Tab = {
      ...tabPipe,
      channel,
      heard: [],
      closings: [],
      drained: 0,
      open() {
        tabPipe.pipe.open({
          message: (lane, bytes) => void tab.heard.push([lane, bytes]),
          drained: () => void (tab.drained += 1),
          closed: (reason) => void tab.closings.push(reason),
        })
      },
    }
    tabs.push(tab)
    return tab
  })
  return pair as [Tab, Tab]
}

const eventually = (what: () => unknown) => expect.poll(what, { timeout: 20_000, interval: 5 })

describe("a pipe between tabs", () => {
  test("keeps each lane's order, and what came before it was opened", async () => {
    const [one, two] = createPair()
    one.open()
    for (let index = 0; index < 100; index++) {
      one.pipe.send(index % 2 === 0 ? "control" : "bulk", Uint8Array.of(index))
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    two.open()
    await eventually(() => two.heard.length).toBe(100)
    for (const lane of ["control", "bulk"] as const) {
      const firsts = two.heard.filter(([on]) => on === lane).map(([, bytes]) => bytes[0] ?? -1)
      expect(firsts).toEqual(firsts.toSorted((a, b) => a - b))
    }
  })

  test("holds back what the other tab has not taken, and says when it has", async () => {
    const [one, two] = createPair()
    one.open()
    const count = 40
    for (let index = 0; index < count; index++) one.pipe.send("bulk", new Uint8Array(65_536).fill(index))
    expect(one.pipe.buffered("bulk")).toBe(count * 65_536)
    expect(one.pipe.buffered("control")).toBe(0)
    two.open()
    await eventually(() => two.heard.length).toBe(count)
    await eventually(() => one.pipe.buffered("bulk")).toBe(0)
    expect(one.drained).toBeGreaterThan(0)
    expect(two.heard.map(([, bytes]) => bytes[0])).toEqual(Array.from({ length: count }, (_, index) => index))
  })

  test("ends rather than grow by what nobody takes", () => {
    const [one] = createPair()
    one.open()
    for (let sent = 0; one.closings.length === 0 && sent < 1_000; sent++) {
      one.pipe.send("bulk", new Uint8Array(262_144))
    }
    expect(one.closings).toEqual(["failed"])
  })

  test("tells the other tab that it failed", async () => {
    const [one, two] = createPair()
    two.open()
    for (let index = 0; index < 5; index++) two.pipe.send("bulk", new Uint8Array(16_384))
    await eventually(() => two.closings).toEqual(["remote"])
    one.open()
    expect(one.closings).toEqual(["failed"])
  })

  test("ends rather than grow by what comes before it is opened", async () => {
    const [one, two] = createPair()
    one.open()
    for (let index = 0; index < 5; index++) one.pipe.send("bulk", new Uint8Array(16_384))
    await new Promise((resolve) => setTimeout(resolve, 100))
    two.open()
    expect(two.closings).toEqual(["failed"])
  })

  test("closes at both ends, each told once", async () => {
    const [one, two] = createPair()
    one.open()
    two.open()
    one.pipe.close()
    one.pipe.close()
    await eventually(() => two.closings).toEqual(["remote"])
    expect(one.closings).toEqual(["local"])
    expect(() => two.pipe.send("control", new Uint8Array(1))).toThrow(
      expect.objectContaining({ code: "pipe-closed" }) as Error,
    )
  })

  test("ends when the lock of the other tab falls, without a word", () => {
    const [one] = createPair()
    one.open()
    one.lost()
    expect(one.closings).toEqual(["failed"])
  })

  for (const nonsense of [
    "hello",
    null,
    { type: "data", lane: "else", bytes: new Uint8Array(1) },
    { type: "data", lane: "bulk", bytes: "text" },
    { type: "data", lane: "bulk", bytes: new Uint8Array(262_145) },
    { type: "taken", lane: "bulk", bytes: -1 },
  ]) {
    test(`takes nonsense from the channel for the end: ${JSON.stringify(nonsense)?.slice(0, 60)}`, async () => {
      const [one, two] = createPair()
      one.open()
      two.channel.postMessage(nonsense)
      await eventually(() => one.closings).toEqual(["failed"])
    })
  }
})
