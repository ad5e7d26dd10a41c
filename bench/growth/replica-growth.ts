import {
  createMemoryReplica,
  createSeededRandom,
  createSimulatedConnection,
  createSimulatedTime,
  createSyncEngine,
  type MemoryCollection,
  type SimulatedConnection,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
import { linkEngine } from "../../sim/engine-link.ts"
import { strictEvents } from "../../sim/strict-events.ts"

export interface ReplicaGrowth {
  readonly replicas: number
  /** Bytes in both directions when two peers that hold the same meet. */
  readonly equalBytes: number
  /** The same when each replica has one more entry. */
  readonly changedBytes: number
  /** One-way trips until all of those entries have arrived. */
  readonly changedTrips: number
  /** Processor time of both peers for the two meetings. */
  readonly cpuMs: number
}

const LATENCY_MS = 50
const ENTRIES = 20
const MEET_MS = 5_000

/** Two peers that share many small replicas over one link, in virtual time. */
export async function measureReplicas(replicas: number): Promise<ReplicaGrowth> {
  const time = createSimulatedTime()
  const [one, other] = [await createPeer(time, "one", replicas), await createPeer(time, "other", replicas)]
  for (const [at, collection] of one.collections.entries()) {
    for (let entry = 0; entry < ENTRIES; entry++) void collection.set(`entry-${at}-${entry}`, { entry })
  }
  await time.runFor(1_000)
  const first = connect(one, other, time)
  await time.runUntil(() => isEqual(one, other), 600_000)
  await time.runFor(MEET_MS)
  first.cut([0, 0])
  await time.runFor(MEET_MS)

  const before = process.cpuUsage()
  const equal = connect(one, other, time)
  await time.runFor(MEET_MS)
  const equalBytes = equal.sentBytes(0) + equal.sentBytes(1)
  equal.cut([0, 0])
  await time.runFor(MEET_MS)

  for (const collection of one.collections) void collection.set("one-more", { entry: -1 })
  await time.runFor(1_000)
  const changed = connect(one, other, time)
  const startedAt = time.now
  if (!(await time.runUntil(() => isEqual(one, other), 600_000)))
    throw new Error("the replicas are not equal")
  const changedTrips = Math.round((time.now - startedAt) / LATENCY_MS)
  await time.runFor(MEET_MS)
  const changedBytes = changed.sentBytes(0) + changed.sentBytes(1)
  const { user, system } = process.cpuUsage(before)
  await Promise.all([one.engine.close(), other.engine.close()])
  return { replicas, equalBytes, changedBytes, changedTrips, cpuMs: (user + system) / 1_000 }
}

interface Peer {
  readonly session: string
  readonly engine: SyncEngine
  readonly collections: readonly MemoryCollection[]
}

async function createPeer(time: SimulatedTime, name: string, replicas: number): Promise<Peer> {
  const random = createSeededRandom(`growth/${name}`)
  const sessionId = random.bytes(16)
  const session = Buffer.from(sessionId).toString("hex")
  const clock = time.clock()
  const engine = createSyncEngine({
    clock,
    random: random.fork("engine"),
    sessionId,
    device: session.repeat(2),
    digestKey: new Uint8Array(32).fill(1),
    roomTag: new Uint8Array(32).fill(2),
    events: strictEvents,
  })
  const collections: MemoryCollection[] = []
  for (let at = 0; at < replicas; at++) {
    const chance = random.fork(`replica/${at}`)
    collections.push(
      await engine.replicate(createMemoryReplica({ name: `replica-${at}`, clock, random: chance })),
    )
  }
  return { session, engine, collections }
}

function connect(one: Peer, other: Peer, time: SimulatedTime): SimulatedConnection {
  const connection = createSimulatedConnection({
    time,
    random: createSeededRandom(`link/${time.now}`),
    names: [one.session, other.session],
    latencyMs: [LATENCY_MS, LATENCY_MS],
  })
  attach(one, other, connection, 0)
  attach(other, one, connection, 1)
  return connection
}

function attach(own: Peer, other: Peer, connection: SimulatedConnection, end: 0 | 1): void {
  linkEngine(own.engine, connection, end, { session: other.session, device: other.session.repeat(2) })
}

function isEqual(one: Peer, other: Peer): boolean {
  return one.collections.every(
    (collection, at) => collection.keys.length === other.collections[at]?.keys.length,
  )
}
