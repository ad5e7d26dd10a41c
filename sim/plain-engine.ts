import {
  type createMemoryReplica,
  createSimulatedConnection,
  createSyncEngine,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedClock,
  type SimulatedConnection,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
import { linkEngine } from "./engine-link.ts"
import { strictEvents } from "./strict-events.ts"

/** A production engine on a device of its own, without faults: for worlds that are about the path between two devices. */
export interface PlainEngine {
  readonly engine: SyncEngine
  readonly clock: SimulatedClock
  /** Randomness for everything else on the device. */
  readonly chance: SeededRandom
  /** 32 hex digits. */
  readonly session: string
  /** 64 hex digits. */
  readonly device: string
}

/** What lies between two engines. */
export interface PlainPath {
  /** One way. */
  readonly latencyMs: number
  /** How fast the path carries what each end sends; without limit by default. */
  readonly bytesPerMs?: readonly [number, number]
  /** Bytes that wait in the network, unseen by the ends. */
  readonly queueBytes?: number
}

export function createPlainEngine(name: string, time: SimulatedTime, random: SeededRandom): PlainEngine {
  const chance = random.fork(name)
  const clock = time.clock()
  const sessionId = chance.bytes(16)
  const device = Buffer.from(chance.bytes(32)).toString("hex")
  const engine = createSyncEngine({
    clock,
    random: chance.fork("engine"),
    sessionId,
    device,
    digestKey: new Uint8Array(32).fill(5),
    roomTag: new Uint8Array(32).fill(6),
    events: strictEvents,
  })
  return { engine, clock, chance, session: Buffer.from(sessionId).toString("hex"), device }
}

export function linkPlainEngines(
  ends: readonly [PlainEngine, PlainEngine],
  { latencyMs, bytesPerMs, queueBytes = 0 }: PlainPath,
  time: SimulatedTime,
  random: SeededRandom,
): SimulatedConnection {
  const connection = createSimulatedConnection({
    time,
    random,
    names: [ends[0].session, ends[1].session],
    latencyMs: [latencyMs, latencyMs],
    queueBytes,
  })
  for (const end of [0, 1] as const) {
    if (bytesPerMs !== undefined) connection.setBytesPerMs(end, bytesPerMs[end])
    const { session, device } = ends[1 - end] as PlainEngine
    linkEngine(ends[end].engine, connection, end, { session, device })
  }
  return connection
}

/** The collection of a replica that an engine of this simulated time has opened. */
export async function openReplica(
  engine: SyncEngine,
  replica: ReturnType<typeof createMemoryReplica>,
  time: SimulatedTime,
): Promise<MemoryCollection> {
  const opened: MemoryCollection[] = []
  void engine.replicate(replica).then((collection) => opened.push(collection))
  await time.runUntil(() => opened.length > 0, 5_000)
  const [collection] = opened
  if (collection === undefined) throw new Error("a replica did not open")
  return collection
}
