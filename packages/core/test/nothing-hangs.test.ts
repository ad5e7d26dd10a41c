import { spawn } from "node:child_process"
import { createServer as createHttpServer } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import { type AddressInfo, createServer, type Server } from "node:net"
import { fileURLToPath } from "node:url"
import * as wrtc from "node-datachannel/polyfill"
import { describe, expect, test, type TestContext } from "vitest"
import { WebSocket, WebSocketServer } from "ws"
import { TransportError } from "../src/ports/transport.ts"
import { createInvite } from "../src/room/invite.ts"
import type { Room } from "../src/room/room.ts"
import { SIGNALING_SUBPROTOCOL } from "../src/signaling/index.ts"
import { webrtc } from "../src/webrtc/index.ts"
import type { WebSocketConstructor } from "../src/webrtc/web-socket.ts"
import { createCertificate } from "./certificate.ts"
import { openMember, until } from "./room-pair.ts"
import { startScriptedSignaling } from "./scripted-signaling.ts"

/** Closes what a test started, last first; the tests of this file run concurrently. */
type Closing = { push(...things: { close(): Promise<void> | void }[]): void }

function closingOf({ onTestFinished }: TestContext): Closing {
  return {
    push(...things) {
      // Vitest calls what was registered last first.
      for (const thing of things) onTestFinished(() => thing.close())
    },
  }
}

async function join(
  signaling: string,
  closing: Closing,
  // Not the runtime's own, which some versions of Node have: each says in its own words what failed.
  webSocket: WebSocketConstructor = WebSocket,
): Promise<Room> {
  const { room } = await openMember({ invite: createInvite() }, { signaling, webSocket })
  closing.push(room)
  return room
}

/** A server that lets everyone in, and says nothing by itself. */
async function acceptSockets(closing: Closing): Promise<WebSocketServer> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    handleProtocols: () => SIGNALING_SUBPROTOCOL,
  })
  closing.push({
    close() {
      for (const client of server.clients) client.terminate()
      server.close()
    },
  })
  await new Promise((resolve) => server.once("listening", resolve))
  return server
}

function urlOf(server: WebSocketServer): string {
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function listen(server: Server, closing: Closing): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  closing.push({
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
      }),
  })
  return (server.address() as AddressInfo).port
}

const problem = (room: Room): string => room.status.get().problem?.message ?? ""

describe.concurrent("a person is told what is wrong", () => {
  test("when there is no server", async (context) => {
    const closing = closingOf(context)
    // The discard port, on which nothing listens.
    const port = 9
    const room = await join(`ws://127.0.0.1:${port}`, closing)
    await until(() => room.status.get().problem?.code === "no-signaling", "the problem", 40_000)
    expect(problem(room)).toMatch(/no signaling server: .*no connection: .+; retrying in \d+ s/)
    expect(room.status.get().phase).toBe("searching")
  })

  test("when the name of the server does not exist", async (context) => {
    const closing = closingOf(context)
    const room = await join("wss://nowhere.invalid", closing)
    await until(() => room.status.get().problem?.code === "no-signaling", "the problem", 40_000)
  })

  test("when an HTTP server lets no WebSocket in", async (context) => {
    const closing = closingOf(context)
    const server = createHttpServer().on("upgrade", (_request, socket) => {
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n")
    })
    const room = await join(`ws://127.0.0.1:${await listen(server, closing)}`, closing)
    await until(() => problem(room).includes("no connection: Unexpected server response: 403"), "why", 40_000)
  })

  const thisYear = new Date().getFullYear()
  const valid = { name: "localhost", years: [thisYear, thisYear + 2], isTrusted: true } as const
  for (const [what, { name, years, isTrusted }, told] of [
    ["signed by itself", { ...valid, isTrusted: false }, "self-signed certificate"],
    ["for another name", { ...valid, name: "elsewhere.example" }, "does not match certificate's altnames"],
    ["of another year", { ...valid, years: [2020, 2021] }, "certificate has expired"],
  ] as const) {
    test(`when the server's certificate is ${what}`, async (context) => {
      const closing = closingOf(context)
      const certificate = createCertificate(name, { years })
      const server = createHttpsServer(certificate)
      const webSockets = new WebSocketServer({ server })
      closing.push(webSockets)
      class TrustingSocket extends WebSocket {
        constructor(url: string, protocols?: string | string[]) {
          super(url, protocols, isTrusted ? { ca: certificate.cert } : {})
        }
      }
      const url = `wss://localhost:${await listen(server, closing)}`
      const room = await join(url, closing, TrustingSocket)
      await until(() => problem(room).includes(told), "the reason", 40_000)
      expect(room.status.get()).toMatchObject({ phase: "searching", problem: { code: "no-signaling" } })
      expect(problem(room)).toMatch(/^no signaling server: .*no connection: .+; retrying in \d+ s$/)
    })
  }

  test("when something takes the connection and says nothing", async (context) => {
    const closing = closingOf(context)
    const sockets = new Set<{ destroy(): void }>()
    const port = await listen(
      createServer((socket) => sockets.add(socket)),
      closing,
    )
    closing.push({ close: () => sockets.forEach((socket) => socket.destroy()) })
    const room = await join(`ws://127.0.0.1:${port}`, closing)
    await until(() => problem(room).includes("no answer within 3 s"), "the concern after 3 s", 40_000)
    await until(() => problem(room).includes("no connection within 10 s"), "the end after 10 s", 40_000)
  })

  test("when a WebSocket server takes the join and says nothing", async (context) => {
    const closing = closingOf(context)
    const server = await acceptSockets(closing)
    const room = await join(urlOf(server), closing)
    await until(() => problem(room).includes("no answer to join within 5 s"), "the end after 5 s", 40_000)
  })

  test("when the server speaks another protocol", async (context) => {
    const closing = closingOf(context)
    const server = await acceptSockets(closing)
    server.on("connection", (socket) => socket.send("hello"))
    const room = await join(urlOf(server), closing)
    await until(() => problem(room).includes("does not speak"), "the problem", 40_000)
  })

  test("when nobody else is there", async (context) => {
    const closing = closingOf(context)
    const server = await startScriptedSignaling()
    closing.push(server)
    const room = await join(server.url, closing)
    await until(() => room.status.get().problem?.code === "no-peers", "the word", 40_000)
  })

  test("when a peer is there and never answers", async (context) => {
    const closing = closingOf(context)
    const server = await startScriptedSignaling()
    closing.push(server)
    server.script(() => {})
    const invite = createInvite()
    const members = await Promise.all([1, 2].map(() => openMember({ invite }, { signaling: server.url })))
    closing.push(...members.map(({ room }) => room))
    const told = (): boolean =>
      members.some(({ room }) => problem(room).includes("signaling failed: no answer to the call"))
    await until(told, "the caller's deadline", 40_000)
  })
})

describe.concurrent("closing takes no time, whatever is under way", () => {
  const closeQuickly = async (room: Room): Promise<void> => {
    const start = performance.now()
    await room.close()
    expect(performance.now() - start).toBeLessThan(10_000)
    expect(room.status.get().phase).toBe("closed")
  }

  test("while it connects to a server that says nothing", async (context) => {
    const closing = closingOf(context)
    const sockets = new Set<{ destroy(): void }>()
    const port = await listen(
      createServer((socket) => sockets.add(socket)),
      closing,
    )
    closing.push({ close: () => sockets.forEach((socket) => socket.destroy()) })
    await closeQuickly(await join(`ws://127.0.0.1:${port}`, closing))
  })

  for (const delayMs of [0, 5, 15, 30, 60, 100, 200, 400]) {
    test(`${delayMs} ms into connecting to a peer`, async (context) => {
      const closing = closingOf(context)
      const server = await startScriptedSignaling()
      closing.push(server)
      const invite = createInvite()
      const [ada, bob] = await Promise.all(
        [1, 2].map(() => openMember({ invite }, { signaling: server.url })),
      )
      if (ada === undefined || bob === undefined) throw new Error("no rooms")
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      await closeQuickly(ada.room)
      await until(() => bob.room.peers.get().length === 0, "the other to notice")
      await closeQuickly(bob.room)
    })
  }
})

describe("what cannot work is refused at once, with what to do", () => {
  test("no WebRTC in Node", () => {
    expect(() => webrtc({ signaling: "wss://example.org" })).toThrow(
      expect.objectContaining({
        code: "no-webrtc",
        message: expect.stringContaining("node-datachannel") as string,
      }) as Error,
    )
  })

  for (const signaling of ["https://example.org", "example.org", "", "javascript:alert(1)"]) {
    test(`the URL ${JSON.stringify(signaling)}`, () => {
      expect(() => webrtc({ wrtc, signaling })).toThrow(TransportError)
      expect(() => webrtc({ wrtc, signaling })).toThrow(expect.objectContaining({ code: "bad-url" }) as Error)
    })
  }

  test("a hold of minutes", () => {
    expect(() => webrtc({ wrtc, signaling: "ws://127.0.0.1", holdMs: 60_000 })).toThrow(TransportError)
  })
})

describe("a process", () => {
  const program = (body: string): string => `
    import * as wrtc from "node-datachannel/polyfill"
    import { createInvite, memoryIdentity, openRoom } from "@dunlin/core"
    import { webrtc } from "@dunlin/core/webrtc"
    const open = (signaling) => openRoom({
      invite: process.argv[1] ?? createInvite(), identity: memoryIdentity(), transports: [webrtc({ wrtc, signaling })],
    })
    ${body}
  `
  const run = async (
    body: string,
    ...options: readonly string[]
  ): Promise<{ readonly code: number | null; readonly output: string }> => {
    const args = [
      ...options,
      "--conditions=@dunlin/source",
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      program(body),
    ]
    const child = spawn(process.execPath, args, { cwd: fileURLToPath(new URL("..", import.meta.url)) })
    let output = ""
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => (output += text.toString()))
    const timer = setTimeout(() => child.kill("SIGKILL"), 60_000)
    const code = await new Promise<number | null>((resolve) => child.once("exit", resolve))
    clearTimeout(timer)
    return { code, output }
  }

  test("ends by itself once its rooms are closed, connected or not", async (context) => {
    const closing = closingOf(context)
    const server = await startScriptedSignaling()
    closing.push(server)
    const outcome = await run(`
      process.argv[1] = createInvite()
      const one = await open(${JSON.stringify(server.url)})
      const two = await open(${JSON.stringify(server.url)})
      const lonely = await open("ws://127.0.0.1:9")
      while (one.peers.get().length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
      await Promise.all([one.close(), two.close(), lonely.close()])
      console.log("closed")
    `)
    expect(outcome).toEqual({ code: 0, output: "closed\n" })
  })

  test("ends soon after its room although the server reads nothing any more", async (context) => {
    const closing = closingOf(context)
    const server = await acceptSockets(closing)
    server.on("connection", (socket) => socket.pause())
    const outcome = await run(`
      const room = await open(${JSON.stringify(urlOf(server))})
      await new Promise((resolve) => setTimeout(resolve, 1500))
      await room.close()
      const closedAt = performance.now()
      process.on("exit", () => console.log(performance.now() - closedAt < 20_000 ? "soon" : "late"))
    `)
    expect(outcome).toEqual({ code: 0, output: "soon\n" })
  })

  test("is told within seconds that there is no server, with the WebSocket of the runtime as well", async () => {
    const outcome = await run(
      `
      const room = await open("ws://127.0.0.1:9")
      while (room.status.get().problem?.code !== "no-signaling") await new Promise((resolve) => setTimeout(resolve, 10))
      console.log(room.status.get().problem.message.includes("no connection"), typeof WebSocket)
      await room.close()
    `,
      "--experimental-websocket",
    )
    expect(outcome).toEqual({ code: 0, output: "true function\n" })
  })

  test("stays while a room of it searches", async () => {
    const outcome = await run(`
      const room = await open("ws://127.0.0.1:9")
      const timer = setTimeout(() => { console.log(room.status.get().phase); room.close() }, 1500)
      timer.unref()
    `)
    expect(outcome).toEqual({ code: 0, output: "searching\n" })
  })
})
