import * as wrtc from "node-datachannel/polyfill"
import { afterEach, describe, expect, test } from "vitest"
import type { Envelope } from "../crypto/envelope.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { planMesh } from "../protocol/mesh-plan.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { type Clock, systemClock } from "../ports/clock.ts"
import { systemRandom } from "../ports/random.ts"
import { createState, type MutableState } from "../ports/state.ts"
import type { Pipe, PipeCloseReason, TransportReport } from "../ports/transport.ts"
import { createDialer, type Dialer } from "./dialer.ts"
import { encodeHangUp } from "./hang-up.ts"
import { findRtcPlatform } from "./rtc-platform.ts"

interface Side {
  readonly id: Uint8Array
  readonly dialer: Dialer
  readonly pipes: Pipe[]
  readonly closings: PipeCloseReason[]
  readonly reports: TransportReport[]
  readonly sent: Envelope["type"][]
  readonly connections: RTCPeerConnection[]
  readonly isReader: MutableState<boolean>
  doubts: number
  misplaced: number
  wantsLinks: boolean
  /** What happens to a signal for this side. */
  take: (envelope: Envelope) => void
}

const platform = findRtcPlatform(wrtc)
const sides: Side[] = []
afterEach(() => {
  for (const { dialer, pipes } of sides.splice(0)) {
    for (const pipe of pipes) pipe.close()
    dialer.close()
  }
})

/** Two dialers with real connections, and signals that go from one to the other by hand. */
function createPair(
  clock = systemClock(),
  pass: (signal: () => void) => void = queueMicrotask,
): readonly [lower: Side, higher: Side] {
  const pair = [1, 2].map((first): Side => {
    const id = new Uint8Array(16).fill(first)
    const self: Omit<Side, "dialer"> = {
      id,
      pipes: [],
      closings: [],
      reports: [],
      sent: [],
      connections: [],
      isReader: createState(false),
      doubts: 0,
      misplaced: 0,
      wantsLinks: true,
      take: (envelope) => side.dialer.receive(envelope),
    }
    const dialer = createDialer({
      host: {
        clock,
        random: systemRandom(),
        peerId: id,
        credentials: {} as never,
        reaches: true,
        linkLimit: 12,
        isReader: self.isReader,
        wantsLinks: () => self.wantsLinks,
        report: (report) => void self.reports.push(report),
        connected(pipe) {
          self.pipes.push(pipe)
          pipe.open({
            message() {},
            drained() {},
            closed: (reason) => void self.closings.push(reason),
            doubted: () => void (self.doubts += 1),
          })
        },
      },
      platform: {
        ...platform,
        create(configuration) {
          const connection = platform.create(configuration)
          self.connections.push(connection)
          return connection
        },
      },
      holdMs: 300,
      configuration: () => ({ iceServers: [] }),
      pathLost() {},
      misplaced: () => void (side.misplaced += 1),
      send(message) {
        self.sent.push(message.type)
        const other = pair.find((each) => each !== side)
        pass(() => other?.take({ ...message, from: id }))
      },
    })
    const side: Side = Object.assign(self, { dialer })
    sides.push(side)
    return side
  })
  return pair as [Side, Side]
}

async function until(condition: () => boolean, what: string): Promise<void> {
  await expect.poll(condition, { timeout: 30_000, interval: 5, message: what }).toBe(true)
}

/** Reports what browsers report five seconds after the last sign of life; libdatachannel does not. */
function disconnect({ connections }: Side): void {
  const connection = connections.at(-1)
  if (connection === undefined) throw new Error("no connection")
  Object.defineProperty(connection, "connectionState", { get: () => "disconnected" })
  connection.onconnectionstatechange?.(new Event("connectionstatechange"))
}

const meet = (one: Side, two: Side): void => {
  one.dialer.present([two.id])
  two.dialer.present([one.id])
}

async function connect(): Promise<readonly [Side, Side]> {
  const pair = createPair()
  meet(...pair)
  await until(() => pair.every(({ pipes }) => pipes.length === 1), "a connection")
  return pair
}

describe("two dialers", () => {
  test("make one connection, which the smaller id offers", async () => {
    const [lower, higher] = await connect()
    expect(lower.sent).toContain("offer")
    expect(higher.sent).not.toContain("offer")
    expect([lower.connections.length, higher.connections.length]).toEqual([1, 1])
  })

  test("wait longer after calls that failed: a signal of theirs takes 4 s", async () => {
    const system = systemClock()
    const speed = 20
    const clock: Clock = {
      ...system,
      monotonic: () => system.monotonic() * speed,
      after: (ms, wake) => system.after(ms / speed, wake),
    }
    const pair = createPair(clock, (signal) => clock.after(4_000, signal))
    meet(...pair)
    await until(() => pair.every(({ pipes }) => pipes.length > 0), "a connection")
  })

  test("need only one of them to see the other: who cannot offer asks for a call", async () => {
    const [lower, higher] = createPair()
    higher.dialer.present([lower.id])
    await until(() => higher.pipes.length === 1, "the connection")
    expect(higher.sent[0]).toBe("call-me")
  })

  test("connect in a large room although only one of them plans to, whichever it is", async () => {
    const [lower, higher] = createPair()
    const between = [1, 2].map((last) => Uint8Array.of(...lower.id.subarray(1), 1 + last))
    const before = Array.from({ length: 40 }, (_, n) => new Uint8Array(16).fill(n + 3).fill(0, 0, 4))
    const crowd = [...between, ...before]
    const planned = planMesh(bytesToHex(lower.id), [...crowd, higher.id].map(bytesToHex), 12)
    expect([...planned.ring, ...planned.chords]).not.toContain(bytesToHex(higher.id))
    higher.take = (envelope) => {
      if (sameBytes(envelope.to, higher.id)) higher.dialer.receive(envelope)
    }
    lower.dialer.present([...crowd, higher.id])
    higher.dialer.present([lower.id])
    await until(() => higher.pipes.length === 1, "the connection that the higher id asked for")
  })

  test("plan with a peer whose signal came before the news of it", () => {
    const [lower, higher] = createPair()
    higher.isReader.set(true)
    // All of them call, so that nothing happens here by itself.
    higher.dialer.present(Array.from({ length: 12 }, (_, n) => new Uint8Array(16).fill(1).fill(n + 3, 1)))
    const payload = encodeHangUp({ reason: "lost" })
    higher.dialer.receive({
      type: "hang-up",
      from: lower.id,
      to: higher.id,
      connection: new Uint8Array(8),
      payload,
    })
    // One more than it has links: a reader is not in its place there.
    expect(higher.misplaced).toBe(1)
  })

  test("connect anew after one of them lost the connection", async () => {
    const [lower, higher] = await connect()
    lower.pipes[0]?.close()
    await until(() => lower.pipes.length === 2 && higher.pipes.length === 2, "the second connection")
    expect(higher.closings).toEqual(["remote"])
  })

  test("refuse politely where there is no room, and are told how many are linked", async () => {
    const [lower, higher] = createPair()
    higher.wantsLinks = false
    meet(lower, higher)
    await until(() => lower.reports.some(({ type }) => type === "room-full"), "the refusal")
    expect(lower.reports).toContainEqual({ type: "room-full", count: 0, limit: 12 })
    expect(lower.pipes).toEqual([])
  })

  test("take candidates that overtook their offer", async () => {
    const [lower, higher] = createPair()
    const offers: Envelope[] = []
    higher.take = (envelope) => {
      if (envelope.type === "offer") offers.push(envelope)
      else higher.dialer.receive(envelope)
    }
    lower.dialer.present([higher.id])
    await until(() => offers.length === 1, "the offer")
    const [offer] = offers as [Envelope]
    const early = new Uint8Array([
      1,
      ...textBlock("candidate:1 1 UDP 1 127.0.0.1 9 typ host"),
      ...textBlock("0"),
    ])
    higher.dialer.receive({ ...offer, type: "candidates", payload: early })
    higher.dialer.receive(offer)
    await until(() => higher.pipes.length === 1, "the connection")
  })

  test("ignore nonsense, and say so", async () => {
    const [lower, higher] = await connect()
    const connection = new Uint8Array(8)
    for (const type of ["candidates", "hang-up", "call-me"] as const) {
      lower.dialer.receive({
        type,
        from: higher.id,
        to: lower.id,
        connection,
        payload: Uint8Array.of(255, 255),
      })
    }
    higher.dialer.receive({
      type: "offer",
      from: lower.id,
      to: higher.id,
      connection,
      payload: Uint8Array.of(0xff, 0xfe),
    })
    expect(higher.reports).toContainEqual(expect.objectContaining({ code: "bad-envelope" }))
    expect([...lower.closings, ...higher.closings]).toEqual([])
  })
})

describe("a peer that left its server", () => {
  test("is asked whether it is still there while the connection looks sound", async () => {
    const [lower, higher] = await connect()
    lower.dialer.absent(higher.id)
    expect(lower.doubts).toBe(1)
    expect(lower.closings).toEqual([])
  })

  test("is not waited for once ICE has lost it", async () => {
    const [lower, higher] = await connect()
    lower.dialer.absent(higher.id)
    disconnect(lower)
    expect(lower.closings).toEqual(["local"])
  })

  test("is asked for at the server when ICE has lost it, and given up when it is away there, too", async () => {
    const [lower, higher] = await connect()
    lower.dialer.away(higher.id)
    expect(lower.closings).toEqual([])
    disconnect(lower)
    expect(lower.sent.at(-1)).toBe("hang-up")
    expect([...lower.closings, ...higher.closings]).toEqual([])
    lower.dialer.away(higher.id)
    expect(lower.closings).toEqual(["failed"])
    await until(() => lower.pipes.length === 2 && higher.pipes.length === 2, "the next call")
  })

  test("is not waited for while it was being called", async () => {
    const [lower, higher] = createPair()
    higher.take = () => {}
    lower.dialer.present([higher.id])
    await until(() => lower.sent.includes("offer"), "the call")
    lower.dialer.absent(higher.id)
    const failed = lower.reports.filter((report) => report.type === "stage" && report.outcome === "failed")
    expect(failed).toEqual([])
    lower.dialer.present([higher.id])
    expect(lower.sent.filter((type) => type === "offer").length).toBeLessThanOrEqual(2)
  })
})

describe("an offer that does not arrive", () => {
  async function callInVain(): Promise<readonly [Side, Side]> {
    const [lower, higher] = createPair()
    const { take } = higher
    higher.take = () => {}
    meet(lower, higher)
    await until(() => lower.sent.includes("offer"), "the offer")
    higher.take = take
    return [lower, higher]
  }

  test("is made anew when the called one asks for a call", async () => {
    const [lower, higher] = await callInVain()
    higher.dialer.reconnect(false)
    await until(() => higher.pipes.length === 1, "the connection")
    // It says so of a call that it has waited for in vain.
    expect(lower.sent).not.toContain("hang-up")
  })

  test("is made anew after a time without server", async () => {
    const [lower, higher] = await callInVain()
    lower.dialer.reconnect(true)
    await until(() => higher.pipes.length === 1, "the connection")
    expect(lower.sent).not.toContain("hang-up")
  })

  test("is not waited for where the server says so", async () => {
    const [lower, higher] = await callInVain()
    lower.dialer.away(higher.id)
    expect(lower.reports).toContainEqual(expect.objectContaining({ stage: "signaling", outcome: "failed" }))
    await until(() => higher.pipes.length === 1, "the connection")
  })

  test("leaves connections alone that have found a path", async () => {
    const [lower, higher] = await connect()
    for (const { dialer } of [lower, higher]) dialer.reconnect(true)
    lower.dialer.away(higher.id)
    expect([...lower.closings, ...higher.closings]).toEqual([])
  })
})

test("who was the last to go is told of, once nothing of it is left", async () => {
  const [lower, higher] = await connect()
  const isAlone = (): boolean => lower.reports.some(({ type }) => type === "alone")
  lower.dialer.absent(higher.id)
  expect(isAlone()).toBe(false)
  lower.pipes[0]?.close()
  expect(isAlone()).toBe(true)
})

test("a page that goes closes everything at once, and connects again when it comes back", async () => {
  const [lower, higher] = await connect()
  lower.dialer.suspend()
  expect(lower.closings).toEqual(["local"])
  await until(() => higher.closings.length === 1, "the other side to notice")
  higher.dialer.absent(lower.id)
  meet(lower, higher)
  await until(() => lower.pipes.length === 2 && higher.pipes.length === 2, "the second connection")
})

function textBlock(text: string): readonly number[] {
  const bytes = new TextEncoder().encode(text)
  return [bytes.length, ...bytes]
}
