import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as wrtc from "node-datachannel/polyfill"
import { afterEach, describe, expect, test } from "vitest"
import { systemClock } from "../src/ports/clock.ts"
import { type Lane, type Pipe, type PipeCloseReason, TransportError } from "../src/ports/transport.ts"
import {
  type ConnectionFailure,
  createPeerConnection,
  type PeerConnection,
} from "../src/webrtc/peer-connection.ts"
import type { Candidate } from "../src/webrtc/candidate-batch.ts"
import { findRtcPlatform, type RtcPlatform } from "../src/webrtc/rtc-platform.ts"
import { until } from "./room-pair.ts"

const open: { close(): void }[] = []
afterEach(() => {
  for (const each of open.splice(0)) each.close()
})

interface End {
  readonly connection: PeerConnection
  pipe: Pipe | null
  failure: ConnectionFailure | null | undefined
  readonly descriptions: string[]
}

interface Heard {
  readonly messages: { lane: Lane; bytes: Uint8Array }[]
  drained: number
  closed: PipeCloseReason | null
}

function createEnd(
  role: "offerer" | "answerer",
  other: () => PeerConnection,
  platform: RtcPlatform = findRtcPlatform(wrtc),
  candidates = (batch: readonly Candidate[]): void => other().addCandidates(batch),
  configuration: RTCConfiguration = {},
): End {
  const end: Omit<End, "connection"> = { pipe: null, failure: undefined, descriptions: [] }
  const connection = createPeerConnection({
    role,
    platform,
    configuration,
    holdMs: 300,
    patience: 1,
    clock: systemClock(),
    remote: "other",
    events: {
      described(sdp) {
        end.descriptions.push(sdp)
        void other().describe(sdp)
      },
      candidates,
      opened: (pipe) => void (end.pipe = pipe),
      broken: () => {},
      closed: (failure) => void (end.failure = failure),
      stage: () => {},
    },
  })
  open.push(connection)
  return Object.assign(end, { connection })
}

async function connect(): Promise<{ readonly a: End & { pipe: Pipe }; readonly b: End & { pipe: Pipe } }> {
  const b: End = createEnd("answerer", () => a.connection)
  const a: End = createEnd("offerer", () => b.connection)
  await until(() => a.pipe !== null && b.pipe !== null, "both ends to open")
  return { a: a as End & { pipe: Pipe }, b: b as End & { pipe: Pipe } }
}

function listen(pipe: Pipe): Heard {
  const heard: Heard = { messages: [], drained: 0, closed: null }
  pipe.open({
    message: (lane, bytes) => void heard.messages.push({ lane, bytes }),
    drained: () => void (heard.drained += 1),
    closed: (reason) => void (heard.closed = reason),
  })
  return heard
}

/** A platform whose bulk channel opens only when told to, as if its last packet came late. */
function withLateBulk(): { readonly held: RtcPlatform; openBulk(): void } {
  const platform = findRtcPlatform(wrtc)
  let openBulk = (): void => {}
  const held: RtcPlatform = {
    ...platform,
    create(configuration: RTCConfiguration) {
      const connection = platform.create(configuration)
      const createDataChannel = connection.createDataChannel.bind(connection)
      connection.createDataChannel = (label) => {
        const channel = createDataChannel(label)
        if (label !== "bulk") return channel
        // The channel is open and does not know it yet.
        let isHeld = true
        const state = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(channel), "readyState")?.get
        Object.defineProperty(channel, "readyState", {
          get: () => (isHeld ? "connecting" : (state?.call(channel) as RTCDataChannelState)),
        })
        openBulk = () => {
          isHeld = false
          channel.onopen?.(new Event("open"))
        }
        return channel
      }
      return connection
    },
  }
  return { held, openBulk: () => openBulk() }
}

test.each<{ readonly last: string; readonly where: string; readonly configuration: RTCConfiguration }>([
  { last: "caller", where: "on a direct path", configuration: {} },
  { last: "answerer", where: "through a relay", configuration: { iceTransportPolicy: "relay" } },
])("the $last $where keeps its candidates back until the other's have come, however late", async (given) => {
  const order: string[] = []
  const real = findRtcPlatform(wrtc)
  // There is no relay here: the question is who waits for whom.
  const platform = { ...real, create: () => real.create({}) }
  const passOn =
    (from: string, to: () => PeerConnection) =>
    (batch: readonly Candidate[]): void => {
      const arrive = (): void => {
        order.push(from)
        to().addCandidates(batch)
      }
      setTimeout(arrive, from === given.last ? 0 : 100)
    }
  const b: End = createEnd(
    "answerer",
    () => a.connection,
    platform,
    passOn("answerer", () => a.connection),
    given.configuration,
  )
  const a: End = createEnd(
    "offerer",
    () => b.connection,
    platform,
    passOn("caller", () => b.connection),
    given.configuration,
  )
  await until(() => a.pipe !== null && b.pipe !== null, "both ends to open")
  expect(order[0]).not.toBe(given.last)
})

describe("a pipe over real channels", () => {
  test("keeps boundaries and the order of each lane, also of what came before it was opened", async () => {
    const { a, b } = await connect()
    for (let index = 0; index < 20; index++) {
      a.pipe.send("control", Uint8Array.of(index))
      a.pipe.send("bulk", new Uint8Array(1000 + index))
    }
    const heard = listen(b.pipe)
    await until(() => heard.messages.length === 40, "all messages")
    const of = (lane: Lane): Uint8Array[] =>
      heard.messages.filter((each) => each.lane === lane).map(({ bytes }) => bytes)
    expect(of("control").map(([first]) => first)).toEqual(Array.from({ length: 20 }, (_, index) => index))
    expect(of("bulk").map(({ length }) => length)).toEqual(
      Array.from({ length: 20 }, (_, index) => 1000 + index),
    )
  })

  test("binds each end to the certificate that the other one has", async () => {
    const { a, b } = await connect()
    expect(a.pipe.binding?.local).toEqual(b.pipe.binding?.remote)
    expect(a.pipe.binding?.remote).toEqual(b.pipe.binding?.local)
    expect([a.pipe.role, b.pipe.role]).toEqual(["offerer", "answerer"])
  })

  test("takes more than the channel holds, says how much waits, and when it has drained", async () => {
    const { a, b } = await connect()
    const [atA, atB] = [listen(a.pipe), listen(b.pipe)]
    const count = 300
    for (let index = 0; index < count; index++) a.pipe.send("bulk", new Uint8Array(65_536).fill(index))
    expect(a.pipe.buffered("bulk")).toBeGreaterThan(10_000_000)
    expect(a.pipe.buffered("control")).toBe(0)
    a.pipe.send("control", Uint8Array.of(1))
    await until(() => atB.messages.length === count + 1, "everything")
    await until(() => atA.drained > 0 && a.pipe.buffered("bulk") < 262_144, "the word that it drained")
    const bulk = atB.messages.filter(({ lane }) => lane === "bulk")
    expect(bulk.every(({ bytes }, index) => bytes[0] === index % 256)).toBe(true)
  })

  test("ends rather than grow when its sender never looks at what waits", async () => {
    const { a, b } = await connect()
    listen(b.pipe)
    const heard = listen(a.pipe)
    const message = new Uint8Array(262_144)
    expect(() => {
      for (let index = 0; index < 1000; index++) a.pipe.send("bulk", message)
    }).toThrow(expect.objectContaining({ code: "pipe-closed" }) as Error)
    expect(heard.closed).toBe("failed")
  })

  test("refuses what no message may be, and everything once it is closed", async () => {
    const { a, b } = await connect()
    const heard = listen(b.pipe)
    expect(() => a.pipe.send("bulk", new Uint8Array(a.pipe.maxMessageBytes + 1))).toThrow(
      expect.objectContaining({ code: "message-too-large" }) as Error,
    )
    a.pipe.close()
    a.pipe.close()
    expect(() => a.pipe.send("control", new Uint8Array(1))).toThrow(TransportError)
    await until(() => heard.closed !== null, "the other end to notice")
    expect(a.failure).toBeNull()
  })

  test("keeps little of what comes before anybody has looked who it is from", async () => {
    const { a, b } = await connect()
    for (let index = 0; index < 5; index++) a.pipe.send("bulk", new Uint8Array(16_384))
    await until(() => b.failure !== undefined, "the end")
    expect(listen(b.pipe).closed).toBe("failed")
  })

  test("counts what empty messages cost, too", async () => {
    const { a, b } = await connect()
    for (let index = 0; index < 2_000; index++) a.pipe.send("control", new Uint8Array(0))
    await until(() => b.failure !== undefined, "the end")
    expect(listen(b.pipe).closed).toBe("failed")
  })

  test("loses nothing that overtakes the opening of the other channel", async () => {
    const { held, openBulk } = withLateBulk()
    const b: End = createEnd("answerer", () => a.connection)
    const a: End = createEnd("offerer", () => b.connection, held)
    await until(() => b.pipe !== null, "the other end to open")
    b.pipe?.send("control", Uint8Array.of(1, 2, 3))
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(a.pipe).toBeNull()
    openBulk()
    await until(() => a.pipe !== null, "this end to open")
    const heard = listen(a.pipe as unknown as Pipe)
    await until(() => heard.messages.length > 0, "the message", 5_000)
    expect(heard.messages[0]?.bytes).toEqual(Uint8Array.of(1, 2, 3))
  })

  test("takes no more while a channel is missing than it takes before the room opens it", async () => {
    const { held } = withLateBulk()
    const b: End = createEnd("answerer", () => a.connection)
    const a: End = createEnd("offerer", () => b.connection, held)
    await until(() => b.pipe !== null, "the other end to open")
    b.pipe?.send("control", new Uint8Array(16_384))
    await until(() => a.failure !== undefined, "the end", 5_000)
    expect(a.failure).toMatchObject({ detail: "too much came before both channels were open" })
  })

  test("passes a doubt about the remote on", async () => {
    const { a } = await connect()
    let doubts = 0
    a.pipe.open({ message() {}, drained() {}, closed() {}, doubted: () => void (doubts += 1) })
    a.connection.doubt()
    expect(doubts).toBe(1)
  })

  test("tells a receiver that comes too late that it is closed", async () => {
    const { a, b } = await connect()
    a.pipe.close()
    await until(() => b.failure !== undefined, "the other end to notice")
    // libdatachannel sometimes reports the path as lost before it reports that the remote hung up.
    expect(["remote", "failed"]).toContain(listen(b.pipe).closed)
  })
})

describe("a description is refused", () => {
  const answererOf = (): End =>
    createEnd("answerer", () => ({ describe: async () => {}, addCandidates: () => {} }) as never)

  test("when it is nonsense", async () => {
    const end = answererOf()
    await end.connection.describe("v=0")
    expect(end.failure).toMatchObject({
      stage: "signaling",
      detail: expect.stringContaining("not-one-media") as string,
    })
  })

  test("when it says one certificate at first and another later", async () => {
    const { a, b } = await connect()
    const sdp = a.descriptions[0] ?? ""
    const line = /a=fingerprint:sha-256 (..)/.exec(sdp)
    const other = line?.[1] === "00" ? "11" : "00"
    await b.connection.describe(sdp.replace(/(a=fingerprint:sha-256 )../, `$1${other}`))
    expect(b.failure).toMatchObject({ detail: "the remote's certificate changed" })
  })

  test("and a channel that nobody agreed on ends the connection", async () => {
    const end: End = createEnd(
      "answerer",
      () => ({ describe: async () => {}, addCandidates: () => {} }) as never,
    )
    const stranger = new wrtc.RTCPeerConnection({ iceServers: [] })
    open.push(stranger)
    stranger.createDataChannel("something else")
    await stranger.setLocalDescription(await stranger.createOffer())
    stranger.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) end.connection.addCandidates([{ candidate: candidate.candidate, mid: "0" }])
    }
    await end.connection.describe(stranger.localDescription?.sdp ?? "")
    await until(() => end.descriptions.length > 0, "the answer")
    await stranger.setRemoteDescription({ type: "answer", sdp: end.descriptions[0] ?? "" })
    await until(() => end.failure !== undefined, "the end")
    expect(end.failure).toMatchObject({ detail: "the remote opened an unknown channel" })
  })
})

test("a connection given up before it opened leaves nothing in memory", async () => {
  const made: WeakRef<RTCPeerConnection>[] = []
  const real = findRtcPlatform(wrtc)
  const platform: RtcPlatform = {
    ...real,
    create(configuration) {
      const connection = real.create(configuration)
      made.push(new WeakRef(connection))
      return connection
    },
  }
  const giveUp = async (): Promise<void> => {
    const end = createPeerConnection({
      role: "offerer",
      platform,
      configuration: {},
      holdMs: 0,
      patience: 1,
      clock: systemClock(),
      remote: "nobody",
      events: {
        described: () => (described = true),
        candidates() {},
        opened() {},
        broken() {},
        closed() {},
        stage() {},
      },
    })
    let described = false
    await until(() => described, "an offer")
    end.close()
  }
  for (let count = 0; count < 8; count++) await giveUp()
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  // The engine may hold on to the last one for a while.
  await until(() => {
    collect()
    return made.filter((one) => one.deref() !== undefined).length <= 1
  }, "the connections to be collected")
})
