import { quantile } from "../quantile.ts"
import { DOCUMENT_BYTES } from "./documents.ts"
import { type Flock, type RemotePeer, sumTotals } from "./flock.ts"
import type { handlers } from "./documents.ts"

export interface Measured {
  readonly [name: string]: number | string | boolean | null
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

type Handler = keyof typeof handlers

async function opened(
  flock: Flock,
  count: number,
  handler: Handler = "default",
  collections: readonly string[] = ["documents"],
): Promise<readonly RemotePeer[]> {
  const peers = await flock.spawn(count)
  await Promise.all(peers.map((peer) => peer.open({ collections, schema: "document", handler })))
  return peers
}

function stopAll(peers: readonly RemotePeer[]): void {
  for (const peer of peers) peer.stop()
}

/** Waits until nothing has been sent for a while: what is in flight is part of the measurement. */
async function settle(peers: readonly RemotePeer[], quietMs = 400, timeoutMs = 20_000): Promise<boolean> {
  const end = Date.now() + timeoutMs
  let last = -1
  for (;;) {
    const { bytesOut, collectionWrites } = await sumTotals(peers)
    const now = bytesOut + collectionWrites
    if (now === last) return true
    if (Date.now() > end) return false
    last = now
    await wait(quietMs)
  }
}

export interface InitialSyncOptions {
  readonly count: number
  readonly batchSize?: number
}

/** One full peer and one empty one: the time from the open data channel to the last document written. */
export async function initialSync(flock: Flock, { count, batchSize }: InitialSyncOptions): Promise<Measured> {
  const peers = await opened(flock, 2)
  const [full, empty] = peers as [RemotePeer, RemotePeer]
  await full.fill({ from: 0, count })
  await Promise.all(peers.map((peer) => peer.reset({})))
  const topic = flock.topic()
  await Promise.all(
    peers.map((peer) =>
      peer.join({ server: flock.server, topic, ...(batchSize === undefined ? {} : { batchSize }) }),
    ),
  )
  const { at } = await empty.reached({ count, timeoutMs: 60_000 })
  await settle(peers)
  const { openedAt } = await empty.totals()
  const totals = await sumTotals(peers)
  stopAll(peers)
  return {
    ms: at === null || openedAt === null ? null : at - openedAt,
    bytes: totals.bytesOut,
    bytesPerContent: totals.bytesOut / (count * DOCUMENT_BYTES),
    messages: totals.messagesOut,
    collectionWrites: totals.collectionWrites,
    cpuMs: totals.cpuMs,
    direction: flock.engine === "dunlin" ? "any" : directionOf(totals.bytesOut / (count * DOCUMENT_BYTES)),
  }
}

/** A hash picks the master. A fork sends each document with the master state it assumes: three times the bytes. */
function directionOf(bytesPerContent: number): string {
  return bytesPerContent > 2 ? "to its master" : "from its master"
}

/** Both sides have imported the same by themselves, except for `different` documents. */
export async function neverMet(flock: Flock, count: number, different: number): Promise<Measured> {
  const peers = await opened(flock, 2)
  for (const [at, peer] of peers.entries()) {
    await peer.fill({ from: 0, count: count - different })
    if (different > 0) await peer.fill({ from: count - different, count: different, text: `of peer ${at}` })
  }
  await Promise.all(peers.map((peer) => peer.reset({})))
  const topic = flock.topic()
  const started = Number(process.hrtime.bigint()) / 1e6
  await Promise.all(peers.map((peer) => peer.join({ server: flock.server, topic })))
  await Promise.all(peers.map((peer) => peer.firstPeer({ count: 1 })))
  await settle(peers, 1000, 40_000)
  const totals = await sumTotals(peers)
  const states = await Promise.all(peers.map((peer) => peer.fingerprint()))
  stopAll(peers)
  return {
    bytes: totals.bytesOut,
    messages: totals.messagesOut,
    collectionWrites: totals.collectionWrites,
    sideWrites: totals.sideWrites,
    equal: states[0] === states[1],
    ms: Number(process.hrtime.bigint()) / 1e6 - started,
  }
}

/** An empty peer joins two that hold the same documents. */
export async function thirdPeer(flock: Flock, count: number): Promise<Measured> {
  const peers = await opened(flock, 3)
  const [a, b, c] = peers as [RemotePeer, RemotePeer, RemotePeer]
  await a.fill({ from: 0, count })
  const topic = flock.topic()
  await a.join({ server: flock.server, topic, batchSize: 1000 })
  await b.join({ server: flock.server, topic, batchSize: 1000 })
  await b.reached({ count, timeoutMs: 60_000 })
  await settle([a, b], 1000)
  await Promise.all(peers.map((peer) => peer.reset({})))
  await c.join({ server: flock.server, topic, batchSize: 1000 })
  const { at } = await c.reached({ count, timeoutMs: 60_000 })
  await settle(peers, 1000)
  const { openedAt } = await c.totals()
  const totals = await sumTotals(peers)
  stopAll(peers)
  return {
    ms: at === null || openedAt === null ? null : at - openedAt,
    bytes: totals.bytesOut,
    bytesPerContent: totals.bytesOut / (count * DOCUMENT_BYTES),
    collectionWrites: totals.collectionWrites,
  }
}

/** Five peers in a full mesh, of which one inserts a document. */
export async function oneInsert(flock: Flock, size: number): Promise<Measured> {
  const peers = await opened(flock, size)
  const topic = flock.topic()
  for (const peer of peers) await peer.join({ server: flock.server, topic })
  await Promise.all(peers.map((peer) => peer.firstPeer({ count: size - 1 })))
  await settle(peers, 1500)
  const marker = "payload-marker-0123456789"
  await Promise.all(peers.map((peer) => peer.reset({ marker })))
  const heartbeat = await idleBytes(peers, 3000)
  await Promise.all(peers.map((peer) => peer.reset({ marker })))
  const started = Date.now()
  await (peers[0] as RemotePeer).upsert({ ids: ["the-one"], text: marker.padEnd(120, ".") })
  await Promise.all(peers.slice(1).map((peer) => peer.reached({ count: 1, timeoutMs: 10_000 })))
  await wait(3000 - Math.min(2900, Date.now() - started))
  const totals = await sumTotals(peers)
  stopAll(peers)
  return {
    bytes: totals.bytesOut,
    idleBytes: heartbeat,
    messages: totals.messagesOut,
    receptionsPerPeer: totals.markerReceptions / (size - 1),
    collectionWrites: totals.collectionWrites,
    sideWrites: totals.sideWrites,
  }
}

async function idleBytes(peers: readonly RemotePeer[], ms: number): Promise<number> {
  await wait(ms)
  return (await sumTotals(peers)).bytesOut
}

/** Until then, one write in twenty waits milliseconds for the runtime to compile some function (`--trace-opt`). */
const WRITES_TO_WARM_UP = 4_000

/** From an insert on one side to its event on the other, one at a time: with young code, and once it is compiled. */
export async function writeLatency(flock: Flock, count: number): Promise<Measured> {
  const peers = await opened(flock, 2)
  const [writer, reader] = peers as [RemotePeer, RemotePeer]
  const topic = flock.topic()
  for (const peer of peers) await peer.join({ server: flock.server, topic })
  await Promise.all(peers.map((peer) => peer.firstPeer({ count: 1 })))
  await settle(peers, 1000)
  const timed = async (name: string): Promise<readonly number[]> => {
    await wait(500)
    await Promise.all(peers.map((peer) => peer.reset({})))
    await insertInTurn(writer, name, count, 10)
    await wait(500)
    return reader.latencies()
  }
  await insertInTurn(writer, "first", 50, 5)
  const young = await timed("timed")
  const totals = await sumTotals(peers)
  await insertInTurn(writer, "between", WRITES_TO_WARM_UP, 1)
  const warm = await timed("timed-again")
  stopAll(peers)
  return {
    p50Ms: quantile(young, 0.5),
    p95Ms: quantile(young, 0.95),
    warmP50Ms: quantile(warm, 0.5),
    warmP95Ms: quantile(warm, 0.95),
    received: young.length + warm.length,
    bytesPerWrite: totals.bytesOut / count,
  }
}

async function insertInTurn(writer: RemotePeer, name: string, count: number, pauseMs: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await writer.insertStamped({ id: `${name}-${n}` })
    await wait(pauseMs)
  }
}

export async function fiveCollections(flock: Flock): Promise<Measured> {
  const names = ["one", "two", "three", "four", "five"]
  const peers = await opened(flock, 2, "default", names)
  await (peers[0] as RemotePeer).fill({ from: 0, count: 10 })
  const topic = flock.topic()
  for (const peer of peers) await peer.join({ server: flock.server, topic })
  await (peers[1] as RemotePeer).reached({ count: 10, timeoutMs: 20_000 })
  await wait(1000)
  const [one] = await Promise.all(peers.map((peer) => peer.totals()))
  stopAll(peers)
  return { sockets: one?.sockets ?? null, connections: one?.connections ?? null }
}

export interface SettlingOptions {
  readonly size: number
  readonly handler: Handler
  readonly documents: number
  readonly timeoutMs: number
}

/** Everyone writes the same documents at once, differently. Do they become equal everywhere, and when? */
export async function settling(
  flock: Flock,
  { size, handler, documents, timeoutMs }: SettlingOptions,
): Promise<Measured> {
  const peers = await opened(flock, size, handler)
  const topic = flock.topic()
  for (const peer of peers) await peer.join({ server: flock.server, topic })
  await Promise.all(peers.map((peer) => peer.firstPeer({ count: size - 1 })))
  const ids = Array.from({ length: documents }, (_, n) => `contested-${n}`)
  await (peers[0] as RemotePeer).upsert({ ids, text: "before" })
  await Promise.all(peers.slice(1).map((peer) => peer.reached({ count: documents, timeoutMs: 20_000 })))
  await settle(peers, 1500)
  await Promise.all(peers.map((peer) => peer.reset({})))
  const started = performance.now()
  await Promise.all(peers.map((peer, at) => peer.upsert({ ids, text: `p${at}` })))
  let settledMs: number | null = null
  let last = ""
  while (performance.now() - started < timeoutMs) {
    const began = performance.now() - started
    const states = new Set(await Promise.all(peers.map((peer) => peer.fingerprint())))
    const [only] = states
    if (states.size === 1 && only !== undefined && only === last) break
    settledMs = states.size === 1 ? began : null
    last = states.size === 1 ? (only ?? "") : ""
    await wait(settledMs === null ? 50 : 1000)
  }
  const totals = await sumTotals(peers)
  const final = new Set(await Promise.all(peers.map((peer) => peer.fingerprint())))
  stopAll(peers)
  return {
    equal: final.size === 1,
    settledMs: final.size === 1 ? settledMs : null,
    writesPerPeer: totals.collectionWrites / size,
    sideWritesPerPeer: totals.sideWrites / size,
    bytes: totals.bytesOut,
  }
}

/** Real records, and what they cost without replication. */
export async function cities(flock: Flock, count: number): Promise<Measured> {
  const peers = await flock.spawn(2)
  const [full, empty] = peers as [RemotePeer, RemotePeer]
  await Promise.all(
    peers.map((peer) => peer.open({ collections: ["cities"], schema: "city", handler: "default" })),
  )
  const { ms: insertMs, contentBytes } = await full.fillCities({ count })
  await Promise.all(peers.map((peer) => peer.reset({})))
  const topic = flock.topic()
  const batch = flock.engine === "rxdb" ? { batchSize: 1000 } : {}
  await Promise.all(peers.map((peer) => peer.join({ server: flock.server, topic, ...batch })))
  const { at } = await empty.reached({ count, timeoutMs: 180_000 })
  await settle(peers, 1000)
  const { openedAt } = await empty.totals()
  const totals = await sumTotals(peers)
  const ms = at === null || openedAt === null ? null : at - openedAt
  const result: Record<string, number | string | null> = {
    ms,
    insertMs,
    contentBytes,
    mbPerSecond: ms === null ? null : contentBytes / 1e6 / (ms / 1000),
    bytesPerContent: totals.bytesOut / contentBytes,
    cpuMs: totals.cpuMs,
  }
  if (flock.engine === "dunlin") {
    // By then the index has been stored.
    await wait(14_000)
    await empty.leave()
    await empty.reset({})
    const restarted = performance.now()
    await empty.join({ server: flock.server, topic })
    await empty.firstPeer({ count: 1 })
    result["restartMs"] = performance.now() - restarted
    result["restartRowsRead"] = (await empty.totals()).rowsRead
  }
  stopAll(peers)
  return result
}
