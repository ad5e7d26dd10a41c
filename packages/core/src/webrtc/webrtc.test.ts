import { expect, test } from "vitest"
import { joinedMessage } from "../../test/joined-message.ts"
import {
  type ClientMessage,
  decodeClientMessage,
  encodeHostMessage,
  type HostMessage,
} from "../signaling/index.ts"
import { createState } from "../ports/state.ts"
import { leafId } from "../protocol/mesh-plan.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import type { WebSocketLike } from "./web-socket.ts"
import { webrtc } from "./webrtc.ts"

const ADA = new Uint8Array(16).fill(7)
/** The larger id, so Ada calls. */
const BOB = new Uint8Array(16).fill(9)

/** Ada, two servers that the test speaks for, and a platform on which no call is ever answered. */
function createWorld() {
  const time = createSimulatedTime()
  const socketByUrl = new Map<string, Socket>()
  const isReader = createState(false)
  let calls = 0
  class Socket implements WebSocketLike {
    binaryType = ""
    readyState = 0
    readonly bufferedAmount = 0
    onopen: ((event: never) => void) | null = null
    onmessage: ((event: never) => void) | null = null
    onclose: ((event: never) => void) | null = null
    onerror: ((event: never) => void) | null = null
    constructor(url: string) {
      socketByUrl.set(url, this)
    }
    readonly sent: ClientMessage[] = []
    send(bytes: Uint8Array): void {
      this.sent.push(decodeClientMessage(bytes))
    }
    close(): void {}
    say(message: HostMessage): void {
      this.onmessage?.({ data: encodeHostMessage(message).slice().buffer } as never)
    }
    die(): void {
      this.readyState = 3
      this.onclose?.({ code: 1006 } as never)
    }
  }
  class Connection {
    readonly signalingState = "stable"
    createDataChannel(): object {
      return { readyState: "connecting", close() {} }
    }
    createOffer(): Promise<never> {
      calls++
      return new Promise(() => {})
    }
    close(): void {}
  }
  const transport = webrtc({
    signaling: ["wss://one", "wss://two"],
    wrtc: { RTCPeerConnection: Connection },
    webSocket: Socket,
  }).start({
    clock: time.clock(),
    random: createSeededRandom("webrtc"),
    peerId: ADA,
    credentials: { topic: new Uint8Array(32), epoch: 0, signalKey: {} as never, roomTagHex: "", servers: [] },
    isReader,
    reaches: true,
    linkLimit: 12,
    wantsLinks: () => true,
    connected: () => undefined,
    report: () => undefined,
  })
  const socketOf = (url: string): Socket => {
    const socket = socketByUrl.get(url)
    if (socket === undefined) throw new Error(`no socket to ${url}`)
    return socket
  }
  return {
    time,
    transport,
    isReader,
    socketOf,
    /** How often Bob has been called. */
    calls: () => calls,
    /** Lets the newest socket to a server join; `channel` counts the joins. */
    async join(url: string, channel: number, peers: readonly Uint8Array[], ice = JOINED.ice) {
      const socket = socketOf(url)
      socket.readyState = 1
      socket.onopen?.({} as never)
      await time.runFor(0)
      socket.say({ ...JOINED, channel, peers, ice })
      await time.runFor(0)
    },
    /** How often Bob is called within this time. */
    async callsWithin(durationMs: number): Promise<number> {
      const before = calls
      await time.runFor(durationMs)
      return calls - before
    },
  }
}

// Longer than any test: these servers answer no ping.
const JOINED = joinedMessage({ heartbeatMs: 600_000 })

const WHILE_MS = 40_000

test("a peer that leaves while one of its servers is dead is gone: the living one has said so", async () => {
  const { time, join, socketOf, callsWithin } = createWorld()
  await time.runFor(0)
  for (const url of ["wss://one", "wss://two"]) await join(url, 1, [BOB])
  socketOf("wss://one").die()
  expect(await callsWithin(WHILE_MS)).toBeGreaterThan(0)
  socketOf("wss://two").say({ type: "presence", channel: 1, joined: [], left: [BOB] })
  expect(await callsWithin(WHILE_MS)).toBe(0)
})

test("a peer that only the dead server knew is called until the server is back and no longer has it", async () => {
  const { time, join, socketOf, callsWithin } = createWorld()
  await time.runFor(0)
  await join("wss://one", 1, [BOB])
  await join("wss://two", 1, [])
  socketOf("wss://one").die()
  // Before the next attempt to join gives up on its socket.
  await time.runFor(1_000)
  const again = socketOf("wss://one")
  expect(await callsWithin(8_000)).toBeGreaterThan(0)
  expect(socketOf("wss://one")).toBe(again)
  await join("wss://one", 2, [])
  expect(await callsWithin(WHILE_MS)).toBe(0)
})

test("of the peers that a server names without end, no more than some hundreds are kept", async () => {
  const { time, join, socketOf, callsWithin } = createWorld()
  await time.runFor(0)
  await join("wss://two", 1, [BOB])
  await join("wss://one", 1, [])
  const strangers = (from: number): Uint8Array[] =>
    Array.from({ length: 200 }, (_, n) => Uint8Array.of(...new Uint8Array(14), (from + n) >> 8, from + n))
  const say = (joined: readonly Uint8Array[], left: readonly Uint8Array[]): void =>
    socketOf("wss://one").say({ type: "presence", channel: 1, joined, left })
  const lists = [0, 200, 400].map(strangers)
  for (const list of lists) say(list, [])
  say([BOB], [])
  for (const list of lists) say([], list)
  socketOf("wss://two").say({ type: "presence", channel: 1, joined: [], left: [BOB] })
  // That the first server named him too was not kept.
  expect(await callsWithin(WHILE_MS)).toBe(0)
})

test("a call whose offer was lost with the socket begins again, once, as soon as the server is back", async () => {
  const { time, join, socketOf, calls } = createWorld()
  await time.runFor(0)
  await join("wss://one", 1, [BOB])
  await time.runFor(500)
  socketOf("wss://one").die()
  await time.runFor(800)
  const before = calls()
  const dan = new Uint8Array(16).fill(11)
  await join("wss://one", 2, [BOB, dan])
  expect(calls()).toBe(before + 2)
})

test("a server that comes and goes does not disturb calls that another server carries", async () => {
  const { time, join, socketOf, calls } = createWorld()
  await time.runFor(0)
  for (const url of ["wss://one", "wss://two"]) await join(url, 1, [BOB])
  const before = calls()
  for (const channel of [2, 3]) {
    socketOf("wss://one").die()
    await time.runFor(600)
    await join("wss://one", channel, [BOB])
  }
  expect(calls()).toBe(before)
})

test("a reader comes into a large room again under an id that says so, and leaves a small one alone", async () => {
  const { time, join, isReader, socketOf } = createWorld()
  const joinedAs = (): Uint8Array | undefined =>
    socketOf("wss://one").sent.flatMap((message) => (message.type === "join" ? message.peer : []))[0]
  const crowd = Array.from({ length: 20 }, (_, n) => new Uint8Array(16).fill(20 + n))
  await time.runFor(0)
  await join("wss://one", 1, crowd.slice(0, 10))
  const first = socketOf("wss://one")
  expect(joinedAs()).toEqual(leafId(ADA, false))
  isReader.set(true)
  await time.runFor(2_000)
  expect(socketOf("wss://one")).toBe(first)
  first.say({ type: "presence", channel: 1, joined: crowd.slice(10), left: [] })
  await time.runFor(2_000)
  expect(first.sent.some(({ type }) => type === "leave")).toBe(true)
  expect(socketOf("wss://one")).not.toBe(first)
  await join("wss://one", 1, crowd)
  const second = joinedAs() as Uint8Array
  expect(second).toEqual(leafId(second, true))
  // And the id stays.
  const now = socketOf("wss://one")
  await time.runFor(8_000)
  expect(socketOf("wss://one")).toBe(now)
})

test("credentials of a server that is gone are no reason to ask the others on and on", async () => {
  const { time, join, socketOf } = createWorld()
  const ice = { servers: [], expiresInMs: 60_000 }
  await time.runFor(0)
  await join("wss://one", 1, [], ice)
  await join("wss://two", 1, [BOB], ice)
  socketOf("wss://one").die()
  const two = socketOf("wss://two")
  const requests = (): number => two.sent.filter(({ type }) => type === "ice-request").length
  for (let second = 0; second < 120; second++) {
    const before = requests()
    await time.runFor(1_000)
    // As a host answers.
    for (let n = before; n < requests() && n < 500; n++) two.say({ type: "ice", ice })
  }
  expect(requests()).toBeLessThan(20)
})

test("a room that is told to reconnect again and again does not flood its server", async () => {
  const { time, transport, join, socketOf } = createWorld()
  /** Smaller than Ada: it is asked to call. */
  const cyd = new Uint8Array(16).fill(5)
  await time.runFor(0)
  await join("wss://one", 1, [cyd])
  const { sent } = socketOf("wss://one")
  const before = sent.length
  for (let n = 0; n < 3_000; n++) {
    transport.reconnect()
    await time.runFor(1)
  }
  expect(sent.length - before).toBeGreaterThan(1)
  expect(sent.length - before).toBeLessThan(20)
})

test("the last of two calls in one second takes effect too, a little later", async () => {
  const { time, transport, join, socketOf } = createWorld()
  const cyd = new Uint8Array(16).fill(5)
  await time.runFor(0)
  await join("wss://one", 1, [cyd])
  const { sent } = socketOf("wss://one")
  transport.reconnect()
  await time.runFor(100)
  const first = sent.length
  transport.reconnect()
  await time.runFor(100)
  expect(sent.length).toBe(first)
  await time.runFor(1_000)
  expect(sent.length).toBeGreaterThan(first)
})

test("a page that comes back at once is back, however lately it was told to reconnect", async () => {
  const page = new EventTarget()
  const names = ["addEventListener", "removeEventListener"] as const
  const globals = globalThis as Partial<Pick<Window, (typeof names)[number]>>
  for (const name of names) globals[name] = page[name].bind(page)
  const { time, join, socketOf } = createWorld()
  for (const name of names) delete globals[name]
  await time.runFor(0)
  await join("wss://one", 1, [])
  const first = socketOf("wss://one")
  for (const name of ["online", "pagehide", "pageshow"]) page.dispatchEvent(new Event(name))
  await time.runFor(0)
  expect(socketOf("wss://one")).not.toBe(first)
})
