import {
  type createMemoryReplica,
  createSyncEngine,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedClock,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
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
