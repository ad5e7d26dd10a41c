// One peer of the RxDB benchmarks, in a process of its own, driven by messages from its parent.
import { inspect } from "node:util"
import { memoryIdentity } from "@dunlin/core"
import * as dunlin from "@dunlin/rxdb"
import * as polyfill from "node-datachannel/polyfill"
import { createRxDatabase, type RxCollection, type RxDatabase } from "rxdb/plugins/core"
import {
  createSimplePeerWrtc,
  getConnectionHandlerSimplePeer,
  replicateWebRTC,
} from "rxdb/plugins/replication-webrtc"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { WebSocket } from "ws"
import { countedConnection, wire } from "./counted-connection.ts"
import { countedStorage, writes } from "./counted-storage.ts"
import { handlers, makeDocuments, readCities, schemas } from "./documents.ts"

export type Engine = "dunlin" | "rxdb"

/** What a peer can be asked to do. */
export interface PeerCommands {
  open(options: {
    readonly collections: readonly string[]
    readonly schema: keyof typeof schemas
    readonly handler: keyof typeof handlers
  }): Promise<void>
  fill(options: {
    readonly from: number
    readonly count: number
    readonly text?: string
  }): Promise<{ readonly ms: number }>
  fillCities(options: {
    readonly count: number
  }): Promise<{ readonly ms: number; readonly contentBytes: number }>
  join(options: {
    readonly server: string
    readonly topic: string
    readonly batchSize?: number
  }): Promise<void>
  firstPeer(options: { readonly count: number }): Promise<void>
  leave(): Promise<void>
  /** When the collection held this many documents, in monotonic time, which all processes share. */
  reached(options: {
    readonly count: number
    readonly timeoutMs: number
  }): Promise<{ readonly at: number | null }>
  state(): Promise<Readonly<Record<string, string>>>
  fingerprint(): Promise<string>
  insertStamped(options: { readonly id: string }): Promise<void>
  latencies(): Promise<readonly number[]>
  upsert(options: { readonly ids: readonly string[]; readonly text: string }): Promise<void>
  totals(): Promise<PeerTotals>
  reset(options: { readonly marker?: string }): Promise<void>
}

export interface PeerTotals {
  readonly bytesOut: number
  readonly messagesOut: number
  readonly markerReceptions: number
  readonly openedAt: number | null
  readonly sockets: number
  readonly connections: number
  readonly collectionWrites: number
  readonly sideWrites: number
  readonly rowsRead: number
  readonly cpuMs: number
}

const engine = process.argv[2] as Engine
let database: RxDatabase | null = null
let collections: readonly RxCollection[] = []
let pools: {
  cancel(): Promise<void>
  awaitFirstPeer(): Promise<unknown>
  peerStates$: { getValue(): ReadonlyMap<unknown, unknown> }
}[] = []
let latencies: number[] = []
let cpuAt = process.cpuUsage()
let sockets = 0

class CountedSocket extends WebSocket {
  constructor(...given: ConstructorParameters<typeof WebSocket>) {
    super(...given)
    sockets++
  }
}

/** CLOCK_MONOTONIC is one clock for all processes of the machine. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

const first = (): RxCollection => {
  const [collection] = collections
  if (collection === undefined) throw new Error("open first")
  return collection
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const commands: PeerCommands = {
  async open({ collections: names, schema, handler }) {
    database = await createRxDatabase({
      name: `bench-${process.pid}`,
      storage: countedStorage(getRxStorageMemory()),
      multiInstance: false,
      eventReduce: true,
    })
    const conflictHandler = handlers[handler]
    const made = await database.addCollections(
      Object.fromEntries(
        names.map((name) => [
          name,
          { schema: schemas[schema], ...(conflictHandler === null ? {} : { conflictHandler }) },
        ]),
      ),
    )
    collections = names.map((name) => made[name] as RxCollection)
    first().$.subscribe(({ documentData }) => {
      const sentAt = Number((documentData as { sentAt?: string }).sentAt ?? Number.NaN)
      if (!Number.isNaN(sentAt)) latencies.push(nowMs() - sentAt)
    })
  },
  async fill({ from, count, text }) {
    const documents = makeDocuments(from, count, text)
    const started = nowMs()
    const { error } = await first().bulkInsert(documents)
    if (error.length > 0) throw new Error(`${error.length} inserts failed`)
    return { ms: nowMs() - started }
  },
  async fillCities({ count }) {
    const documents = await readCities(count)
    const contentBytes = Buffer.byteLength(JSON.stringify(documents))
    const started = nowMs()
    for (let at = 0; at < documents.length; at += 10_000)
      await first().bulkInsert(documents.slice(at, at + 10_000))
    return { ms: nowMs() - started, contentBytes }
  },
  async join({ server, topic, batchSize }) {
    const batch = batchSize === undefined ? {} : { batchSize }
    const made = await Promise.all(
      collections.map(async (collection) => {
        if (engine === "dunlin")
          return dunlin.replicateWebRTC({
            collection,
            topic,
            identity: memoryIdentity(),
            connectionHandlerCreator: dunlin.getConnectionHandlerSimplePeer({
              signalingServerUrl: server,
              wrtc: { RTCPeerConnection: countedConnection(polyfill.RTCPeerConnection as never) },
              webSocketConstructor: CountedSocket,
              config: { iceServers: [] },
            }),
            pull: {},
            push: {},
          })
        const pool = await replicateWebRTC({
          collection,
          topic: `${topic}-${collection.name}`,
          connectionHandlerCreator: getConnectionHandlerSimplePeer({
            signalingServerUrl: server,
            wrtc: createSimplePeerWrtc({
              ...polyfill,
              RTCPeerConnection: countedConnection(polyfill.RTCPeerConnection as never),
            }),
            webSocketConstructor: CountedSocket as never,
            config: { iceServers: [] },
          }),
          pull: { ...batch },
          push: { ...batch },
        })
        pool.error$.subscribe(() => {})
        return pool
      }),
    )
    pools = made
  },
  async firstPeer({ count }) {
    for (const pool of pools) while (pool.peerStates$.getValue().size < count) await wait(5)
  },
  async leave() {
    await Promise.all(pools.map((pool) => pool.cancel()))
    pools = []
  },
  async reached({ count, timeoutMs }) {
    const end = nowMs() + timeoutMs
    while (nowMs() < end) {
      // Counting in the storage would slow the peer that is measured; its writes are counted anyway.
      const at = writes.reachedAt(count)
      if (at !== null) return { at }
      await wait(10)
    }
    return { at: null }
  },
  async state() {
    const documents = await first().find().exec()
    return Object.fromEntries(documents.map((document) => [document.primary, String(document.get("text"))]))
  },
  async fingerprint() {
    const state = await commands.state()
    const { createHash } = await import("node:crypto")
    return createHash("sha256")
      .update(JSON.stringify(Object.entries(state).toSorted(([a], [b]) => (a < b ? -1 : 1))))
      .digest("hex")
  },
  async insertStamped({ id }) {
    const [document] = makeDocuments(0, 1)
    await first().insert({ ...document, id, sentAt: String(nowMs()) })
  },
  latencies: () => Promise.resolve(latencies),
  async upsert({ ids, text }) {
    const { error } = await first().bulkUpsert(ids.map((id, n) => ({ ...makeDocuments(n, 1)[0], id, text })))
    if (error.length > 0) throw new Error(`${error.length} upserts failed`)
  },
  totals() {
    const { user, system } = process.cpuUsage(cpuAt)
    return Promise.resolve({
      ...wire.totals(),
      ...writes.totals(),
      sockets,
      cpuMs: (user + system) / 1000,
    })
  },
  reset({ marker }) {
    wire.reset(marker ?? null)
    writes.reset()
    latencies = []
    cpuAt = process.cpuUsage()
    return Promise.resolve()
  },
}

process.on("message", (message: { id: number; command: keyof PeerCommands; options: never }) => {
  const run = commands[message.command] as (options: never) => Promise<unknown>
  run(message.options).then(
    (result) => process.send?.({ id: message.id, result }),
    (error: unknown) => process.send?.({ id: message.id, error: inspect(error) }),
  )
})
process.on("disconnect", () => process.exit(0))
// RxDB's plugin rejects promises that nobody handles when a peer leaves.
process.on("unhandledRejection", () => {})
process.send?.({ ready: true })
