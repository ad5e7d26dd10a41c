import { describe, expect, test } from "vitest"
import { joinedMessage } from "../../test/joined-message.ts"
import type { TransportReport } from "../ports/transport.ts"
import {
  type ClientMessage,
  decodeClientMessage,
  encodeHostMessage,
  type HostMessage,
  type SignalingErrorCode,
} from "../signaling/index.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createSignalingClient, type SignalingClient } from "./signaling-client.ts"
import type { WebSocketLike } from "./web-socket.ts"

/** A socket whose other end is the test. */
interface HostSocket extends WebSocketLike {
  readyState: number
  readonly heard: ClientMessage[]
  /** The code with which the client closed it. */
  closedWith: number | undefined
  isCut: boolean
  open(): void
  say(message: HostMessage | Uint8Array): void
  drop(code: number): void
}

function createWorld({
  token = async () => "",
  answersClose = true,
}: { readonly token?: () => Promise<string>; readonly answersClose?: boolean } = {}) {
  const time = createSimulatedTime()
  const sockets: HostSocket[] = []
  const told: string[] = []
  const reports: Extract<TransportReport, { type: "signaling" }>[] = []
  class Socket implements HostSocket {
    binaryType = ""
    readyState = 0
    readonly bufferedAmount = 0
    readonly heard: ClientMessage[] = []
    closedWith: number | undefined
    isCut = false
    onopen: ((event: never) => void) | null = null
    onmessage: ((event: never) => void) | null = null
    onclose: ((event: never) => void) | null = null
    onerror: ((event: never) => void) | null = null
    constructor() {
      sockets.push(this)
    }
    send(data: Uint8Array): void {
      this.heard.push(decodeClientMessage(data.slice()))
    }
    close(code?: number): void {
      this.closedWith ??= code
      if (answersClose && this.readyState < 2) this.drop(1000)
    }
    terminate(): void {
      this.isCut = true
    }
    open(): void {
      this.readyState = 1
      this.onopen?.({} as never)
    }
    say(message: HostMessage | Uint8Array): void {
      const bytes = message instanceof Uint8Array ? message : encodeHostMessage(message)
      this.onmessage?.({ data: bytes.slice().buffer } as never)
    }
    drop(code: number): void {
      this.readyState = 3
      this.onclose?.({ code } as never)
    }
  }
  const client: SignalingClient = createSignalingClient({
    url: "wss://host",
    topic: new Uint8Array(32).fill(1),
    peerId: ADA,
    token,
    webSocket: Socket,
    clock: time.clock(),
    random: createSeededRandom("signaling"),
    events: {
      joined: (peers) => void told.push(`joined ${peers.map(([first]) => first).join()}`),
      presence: (joined, left) => void told.push(`presence +${joined.length} -${left.length}`),
      signal: ([from], blob) => void told.push(`signal ${from} ${blob.length}`),
      gone: ([peer]) => void told.push(`gone ${peer}`),
      away: ([peer]) => void told.push(`away ${peer}`),
      taken: () => void told.push("taken"),
      ice: ({ servers }) => void told.push(`ice ${servers.length}`),
      lost: () => void told.push("lost"),
      report: (report) => void (report.type === "signaling" && reports.push(report)),
    },
  })
  const newest = (): HostSocket => {
    const socket = sockets.at(-1)
    if (socket === undefined) throw new Error("no socket")
    return socket
  }
  return {
    time,
    client,
    sockets,
    told,
    reports,
    newest,
    /** Goes as far as the answer to `join`. */
    async join(over: Partial<HostMessage & { type: "joined" }> = {}) {
      await time.runFor(0)
      newest().open()
      await time.runFor(0)
      newest().say({ ...JOINED, channel: joinOf(newest()).channel, ...over })
      await time.runFor(0)
      return newest()
    },
  }
}

const ADA = new Uint8Array(16).fill(7)
const BOB = new Uint8Array(16).fill(9)

const JOINED = { ...joinedMessage({ heartbeatMs: 10_000 }), peers: [BOB] }

function joinOf({ heard }: HostSocket): ClientMessage & { type: "join" } {
  const join = heard.find((message) => message.type === "join")
  if (join?.type !== "join") throw new Error("nothing was joined")
  return join
}

const refusal = (channel: number, code: SignalingErrorCode, retryMs = 0): HostMessage => ({
  type: "error",
  channel,
  code,
  retryMs,
  detail: "so it is",
})

describe("a client of a signaling server", () => {
  test("joins, is told who is there, and passes signals both ways", async () => {
    const { join, client, told } = createWorld()
    expect(client.signal(BOB, new Uint8Array(3))).toBe(false)
    const socket = await join()
    expect(joinOf(socket)).toMatchObject({ peer: ADA, resume: null, token: "" })
    socket.say({ type: "signal", channel: 1, from: BOB, blob: new Uint8Array(5) })
    socket.say({ type: "presence", channel: 1, joined: [], left: [BOB] })
    expect(client.signal(BOB, new Uint8Array(3))).toBe(true)
    expect(socket.heard.at(-1)).toMatchObject({ type: "signal", to: BOB })
    // The ICE servers first, so that calls to the peers that are there use them.
    expect(told).toEqual(["ice 0", "joined 9", "signal 9 5", "presence +0 -1"])
  })

  test("says when a signal could not be passed on, and why", async () => {
    const { join, told } = createWorld()
    const socket = await join()
    for (const reason of ["gone", "away", "busy"] as const) {
      socket.say({ type: "unreachable", channel: 1, peer: BOB, reason })
    }
    expect(told.slice(2)).toEqual(["gone 9", "away 9"])
  })

  test("comes back after a loss, with the secret of its session and a fresh channel", async () => {
    const { join, time, told, sockets, reports } = createWorld()
    const first = await join()
    first.drop(1006)
    expect(told.at(-1)).toBe("lost")
    expect(reports.at(-1)).toMatchObject({
      state: "unreachable",
      detail: "the server closed the connection (1006)",
    })
    await time.runFor(500)
    const second = await join()
    expect(sockets).toHaveLength(2)
    expect(joinOf(second)).toMatchObject({ channel: 2, resume: JOINED.resume, peer: ADA })
  })

  test("takes nothing for its own that another channel was told", async () => {
    const { join, told } = createWorld()
    const socket = await join()
    socket.say({ type: "presence", channel: 77, joined: [], left: [BOB] })
    expect(told).toEqual(["ice 0", "joined 9"])
  })

  test("waits longer after each failure, and at once tries again when it is told to", async () => {
    const { time, client, sockets } = createWorld()
    const gaps: number[] = []
    for (let round = 0; round < 6; round++) {
      await time.runUntil(() => sockets.length === round + 1, 60_000)
      sockets.at(-1)?.drop(1006)
      const from = time.now
      if (round === 5) client.reconnect()
      await time.runUntil(() => sockets.length === round + 2, 60_000)
      gaps.push(time.now - from)
    }
    expect(gaps[0]).toBeLessThanOrEqual(500)
    expect(gaps[4]).toBeGreaterThan(2_000)
    expect(gaps[5]).toBe(0)
  })

  test("comes back to a server within 15 s, however long that was away", async () => {
    const { time, sockets } = createWorld()
    for (let round = 0; round < 20; round++) {
      const from = time.now
      await time.runUntil(() => sockets.length === round + 1, 60_000)
      expect(time.now - from).toBeLessThanOrEqual(15_000)
      sockets.at(-1)?.drop(1006)
    }
  })

  test("asks a server that said no rarely", async () => {
    for (const code of ["unauthorized", "forbidden", "room-full", "blocked"] as const) {
      const { time, newest, reports } = createWorld()
      await time.runFor(0)
      newest().open()
      await time.runFor(0)
      newest().say(refusal(1, code))
      expect(reports.at(-1)).toMatchObject({ state: "refused", detail: `${code}: so it is` })
      expect(reports.at(-1)?.retryInMs).toBeGreaterThanOrEqual(30_000)
    }
  })

  test("believes a server about time up to an hour", async () => {
    const { join, reports } = createWorld()
    const socket = await join()
    socket.say({ type: "bye", retryMs: 0xffff_ffff })
    expect(reports.at(-1)?.retryInMs).toBeLessThanOrEqual(3_600_000)
  })

  test("goes from a server that is about to end without leaving: its session can be taken up elsewhere", async () => {
    const { join, client, newest, time, reports } = createWorld()
    const first = await join()
    first.say({ type: "bye", retryMs: 2000 })
    // To the end: that it cannot be reached is no trouble yet.
    expect(reports.at(-1)).toMatchObject({ state: "draining", detail: "the server is about to restart" })
    expect(first.readyState).toBe(3)
    expect(first.closedWith).toBeUndefined()
    expect(first.heard.some(({ type }) => type === "leave")).toBe(false)
    await time.runFor(3000)
    newest().open()
    await time.runFor(0)
    expect(joinOf(newest()).resume).toEqual(JOINED.resume)
    void client.close()
    expect(newest().closedWith).toBe(1000)
  })

  test("does not take up a session that another has: it asks for a fresh peer id", async () => {
    const { join, time, newest, told, reports } = createWorld()
    const first = await join()
    first.drop(1006)
    await time.runFor(500)
    newest().open()
    await time.runFor(0)
    newest().say(refusal(2, "peer-id-taken"))
    expect(told.at(-1)).toBe("taken")
    // A fresh id will do: people are not told that there is no server.
    expect(reports.at(-1)).toMatchObject({ type: "signaling", state: "connecting" })
  })

  test("renews its token before it expires", async () => {
    let tokens = 0
    const { join, time, newest } = createWorld({ token: async () => `token ${(tokens += 1)}` })
    const limits = { ...JOINED.limits, heartbeatMs: 1_000_000 }
    const socket = await join({ tokenExpiresInMs: 100_000, limits })
    expect(joinOf(socket).token).toBe("token 1")
    await time.runFor(79_000)
    expect(tokens).toBe(1)
    await time.runFor(2_000)
    expect(newest().heard.at(-1)).toMatchObject({ type: "renew", token: "token 2" })
  })

  test.each([100_000, 36_000_000])(
    "asks again for a token of %i ms when there was none for its renewal, as long as the old one lasts",
    async (tokenExpiresInMs) => {
      let asked = 0
      let isThere = true
      const token = async (): Promise<string> => {
        asked += 1
        if (!isThere) throw new Error("offline")
        return `token ${asked}`
      }
      const { join, time, newest } = createWorld({ token })
      await join({ tokenExpiresInMs, limits: { ...JOINED.limits, heartbeatMs: 3_600_000 } })
      const heartbeat = async (durationMs: number): Promise<void> => {
        for (let ms = 0; ms < durationMs; ms += durationMs / 100) {
          newest().say({ type: "pong", nonce: 0 })
          await time.runFor(durationMs / 100)
        }
      }
      isThere = false
      await heartbeat(tokenExpiresInMs * 0.9)
      expect(asked).toBeLessThan(20)
      isThere = true
      await heartbeat(tokenExpiresInMs * 0.099)
      expect(newest().heard.filter(({ type }) => type === "renew")).toHaveLength(1)
    },
  )

  test("stops asking for a token when none came until the old one had run out", async () => {
    let asked = 0
    const token = async (): Promise<string> => {
      asked += 1
      if (asked > 1) throw new Error("offline")
      return ""
    }
    const { join, time } = createWorld({ token })
    await join({ tokenExpiresInMs: 1_000_000, limits: { ...JOINED.limits, heartbeatMs: 1_000_000 } })
    await time.runFor(1_500_000)
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(12)
  })

  test("waits when no token is to be had, and asks again", async () => {
    let isThere = false
    const token = async (): Promise<string> => {
      if (!isThere) throw new Error("not signed in")
      return "token"
    }
    const { time, newest, reports, join } = createWorld({ token })
    await time.runFor(0)
    newest().open()
    await time.runFor(0)
    expect(reports.at(-1)).toMatchObject({ detail: "no token: not signed in" })
    isThere = true
    await time.runFor(500)
    expect(joinOf(await join()).token).toBe("token")
  })

  test("gives a server up that takes the join and says nothing, or nothing more", async () => {
    const { time, newest, reports, join } = createWorld()
    await time.runFor(0)
    newest().open()
    await time.runFor(5_100)
    expect(reports.map(({ detail }) => detail)).toContain("no answer to join within 5 s")
    await time.runFor(500)
    const settled = await join()
    await time.runFor(26_000)
    expect(settled.heard.some(({ type }) => type === "ping")).toBe(true)
    expect(reports.map(({ detail }) => detail)).toContain("the server has gone silent")
  })

  test("joins a server over a path with 8 s for a round trip, and stays there when it is told to try again", async () => {
    const { time, client, sockets, told } = createWorld()
    const clock = time.clock()
    const answer = (): void => {
      for (const socket of sockets.splice(0)) {
        clock.after(16_000, () => {
          socket.open()
          const { send } = socket
          socket.send = (data) => {
            send.call(socket, data)
            const message = decodeClientMessage(data)
            const reply: HostMessage =
              message.type === "join" ? { ...JOINED, channel: message.channel } : { type: "pong", nonce: 0 }
            clock.after(8_000, () => socket.say(reply))
          }
        })
      }
      clock.after(50, answer)
    }
    answer()
    await time.runFor(90_000)
    expect(told).toEqual(["ice 0", "joined 9"])
    client.reconnect()
    await time.runFor(90_000)
    expect(told).toEqual(["ice 0", "joined 9"])
  })

  test("finds out within seconds, when it is told to try again, that its socket is dead", async () => {
    const { time, client, join, told } = createWorld()
    await join()
    await time.runFor(1_000)
    client.reconnect()
    await time.runFor(5_100)
    expect(told.at(-1)).toBe("lost")
  })

  test("finds that out as soon where the server had been away for some tries", async () => {
    const { time, client, join, newest, told } = createWorld()
    for (let failed = 0; failed < 2; failed++) {
      await time.runFor(1_000)
      newest().drop(1006)
    }
    await time.runFor(1_000)
    await join()
    await time.runFor(1_000)
    expect(told.at(-1)).toBe("joined 9")
    client.reconnect()
    await time.runFor(5_100)
    expect(told.at(-1)).toBe("lost")
  })

  test("gives a long try no more time than a first one when it is told to try again, and then begins the next soon", async () => {
    const { time, client, sockets } = createWorld()
    await time.runUntil(() => sockets.length === 3, 60_000)
    await time.runFor(1_000)
    client.reconnect()
    await time.runFor(10_600)
    expect(sockets).toHaveLength(4)
  })

  test("ends the conversation with one who does not speak the protocol", async () => {
    const { time, newest, reports } = createWorld()
    await time.runFor(0)
    newest().open()
    newest().say(Uint8Array.of(250, 1, 2))
    expect(reports.at(-1)?.detail).toContain("does not speak Dunlin's signaling protocol")
  })

  test("leaves at once with a page that goes, and joins again when that comes back", async () => {
    const { time, client, join, told } = createWorld()
    const socket = await join()
    client.suspend()
    expect(socket.heard.at(-1)).toEqual({ type: "leave", channel: 1 })
    expect(socket.readyState).toBe(3)
    await time.runFor(100_000)
    client.reconnect()
    await join()
    expect(told.filter((line) => line.startsWith("joined"))).toHaveLength(2)
  })

  test("cuts a socket that does not answer its close: it would hold a process for half a minute", async () => {
    const { time, client, join } = createWorld({ answersClose: false })
    const socket = await join()
    const closing = client.close()
    await time.runFor(900)
    expect(socket.isCut).toBe(false)
    await time.runFor(200)
    await closing
    expect(socket.isCut).toBe(true)
  })

  test("leaves nothing behind when it closes, at any stage", async () => {
    for (const stage of ["waiting", "connecting", "joined", "suspended"]) {
      const { time, client, join, newest } = createWorld()
      if (stage === "connecting") await time.runFor(0)
      if (stage === "joined" || stage === "suspended") await join()
      if (stage === "suspended") client.suspend()
      const closing = client.close()
      await time.runFor(2_000)
      await closing
      await client.close()
      client.reconnect()
      if (stage === "joined") expect(newest().heard.at(-1)).toMatchObject({ type: "leave" })
      expect(time.pending).toBe(0)
    }
  })
})
