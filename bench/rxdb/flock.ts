import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { startSignalingServerSimplePeer as startDunlinServer } from "@dunlin/host"
import { startSignalingServerSimplePeer as startRxdbServer } from "rxdb/plugins/replication-webrtc"
import type { Engine, PeerCommands, PeerTotals } from "./peer.ts"

/** A peer process, called like a local object. */
export type RemotePeer = PeerCommands & { readonly stop: () => void }

export interface Flock {
  readonly engine: Engine
  readonly server: string
  spawn(count: number): Promise<readonly RemotePeer[]>
  /** A topic that nobody has used before. */
  topic(): string
  close(): Promise<void>
}

/** Peers of one engine, each in its own process, and that engine's signaling server in this one. */
export async function openFlock(engine: Engine): Promise<Flock> {
  const peers = new Set<RemotePeer>()
  const server = engine === "dunlin" ? await startDunlin() : await startRxdb()
  let topics = 0
  return {
    engine,
    server: server.url,
    async spawn(count) {
      const made = await Promise.all(Array.from({ length: count }, () => spawnPeer(engine)))
      for (const peer of made) peers.add(peer)
      return made
    },
    topic: () => `bench-topic-${process.pid}-${engine}-${topics++}`,
    async close() {
      for (const peer of peers) peer.stop()
      await server.close()
    },
  }
}

interface SignalingServer {
  readonly url: string
  close(): Promise<void>
}

async function startDunlin(): Promise<SignalingServer> {
  const server = await startDunlinServer({ port: 0 })
  return { url: server.localUrl, close: server.close }
}

async function startRxdb(): Promise<SignalingServer> {
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const { server, localUrl } = await startRxdbServer({ port, host: "127.0.0.1" })
  return {
    url: localUrl,
    close: () =>
      new Promise((resolve) => {
        for (const client of server.clients) client.terminate()
        server.close(() => resolve())
      }),
  }
}

async function spawnPeer(engine: Engine): Promise<RemotePeer> {
  const file = fileURLToPath(new URL("peer.ts", import.meta.url))
  const profile = process.env["BENCH_PROFILE_DIR"]
  const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]
  // Without the condition that leads to the source: see `../built.ts`.
  const child = spawn(process.execPath, [...flags, "--import", "tsx", file, engine], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let nextId = 0
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve())
    child.once("exit", (code) => reject(new Error(`a peer ended with ${code}`)))
  })
  child.on("message", ({ id, result, error }: { id: number; result: unknown; error?: string }) => {
    const waiter = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) waiter?.resolve(result)
    else waiter?.reject(new Error(error))
  })
  child.once("exit", (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`a peer ended with ${code}`))
  })
  return remote(child, (command, options) => {
    const id = nextId++
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject })
      child.send({ id, command, options })
    })
  })
}

function remote(
  child: ChildProcess,
  ask: (command: string, options: unknown) => Promise<unknown>,
): RemotePeer {
  const stop = (): void => {
    // Only a process that ends by itself writes a profile.
    if (process.env["BENCH_PROFILE_DIR"] === undefined) child.kill("SIGKILL")
    else if (child.connected) child.disconnect()
  }
  return new Proxy({} as RemotePeer, {
    get: (_, command: string) => {
      if (command === "stop") return stop
      // A promise that resolves with this object must not take it for a thenable.
      if (command === "then") return undefined
      return (options: unknown) => ask(command, options ?? {})
    },
  })
}

/** Totals of several peers taken together. */
export async function sumTotals(peers: readonly RemotePeer[]): Promise<PeerTotals> {
  const all = await Promise.all(peers.map((peer) => peer.totals()))
  const sum = (field: Exclude<keyof PeerTotals, "openedAt">): number =>
    all.reduce((total, one) => total + one[field], 0)
  return {
    bytesOut: sum("bytesOut"),
    messagesOut: sum("messagesOut"),
    markerReceptions: sum("markerReceptions"),
    openedAt: all.reduce<number | null>(
      (first, one) => (one.openedAt === null ? first : Math.min(first ?? Infinity, one.openedAt)),
      null,
    ),
    sockets: sum("sockets"),
    connections: sum("connections"),
    collectionWrites: sum("collectionWrites"),
    sideWrites: sum("sideWrites"),
    rowsRead: sum("rowsRead"),
    cpuMs: sum("cpuMs"),
  }
}
