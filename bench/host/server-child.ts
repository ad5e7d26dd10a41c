// One server under test, alone in its process.
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { startHost } from "@dunlin/host"
import { type WebSocket, WebSocketServer } from "ws"
import { serveCalls } from "./child-calls.ts"
import type { ServerKind } from "./dialects.ts"

export interface ServerUsage {
  readonly rssBytes: number
  readonly heapBytes: number
  readonly externalBytes: number
  readonly cpuMs: number
}

const kind = process.argv[2] as ServerKind
const options = JSON.parse(process.argv[3] ?? "{}") as Record<string, unknown>
const started = await start()

serveCalls({
  url: () => started.url,
  operationsUrl: () => started.operationsUrl,
  usage(): ServerUsage {
    const memory = process.memoryUsage()
    const cpu = process.cpuUsage()
    return {
      rssBytes: memory.rss,
      heapBytes: memory.heapUsed,
      externalBytes: memory.external,
      cpuMs: (cpu.user + cpu.system) / 1000,
    }
  },
  async collect() {
    for (let round = 0; round < 3; round++) {
      globalThis.gc?.()
      await pause(100)
    }
  },
})

async function start(): Promise<{ readonly url: string; readonly operationsUrl: string | null }> {
  switch (kind) {
    case "dunlin": {
      const host = await startHost({ port: 0, host: "127.0.0.1", ...options })
      return { url: host.url, operationsUrl: host.operationsUrl }
    }
    case "bare": {
      const port = await startBareRelay()
      return { url: `ws://127.0.0.1:${port}`, operationsUrl: null }
    }
    case "y-webrtc": {
      const port = await freePort()
      process.env["PORT"] = String(port)
      const entry = createRequire(import.meta.url).resolve("y-webrtc")
      await import(pathToFileURL(join(dirname(entry), "..", "bin", "server.js")).href)
      return { url: `ws://127.0.0.1:${port}`, operationsUrl: null }
    }
    case "rxdb": {
      const port = await freePort()
      const { startSignalingServerSimplePeer } = await import("rxdb/plugins/replication-webrtc")
      await startSignalingServerSimplePeer({ port })
      return { url: `ws://127.0.0.1:${port}`, operationsUrl: null }
    }
  }
}

/** The floor: the same library; the first frame names a room, and each further frame goes to the others as it is. */
async function startBareRelay(): Promise<number> {
  const rooms = new Map<string, Set<WebSocket>>()
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false })
  server.on("connection", (socket) => {
    let room: Set<WebSocket> | null = null
    socket.on("error", () => {})
    socket.on("message", (data: Buffer) => {
      if (room === null) {
        const name = data.toString("latin1")
        room = rooms.get(name) ?? new Set()
        rooms.set(name, room)
        room.add(socket)
        socket.send(data)
        return
      }
      for (const other of room) if (other !== socket) other.send(data)
    })
    socket.on("close", () => room?.delete(socket))
  })
  await new Promise((resolve) => server.once("listening", resolve))
  return (server.address() as { port: number }).port
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, () => resolve()))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
