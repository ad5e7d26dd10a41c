import {
  createMemoryReplica,
  createSeededRandom,
  createSimulatedDisk,
  createSimulatedTime,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedTime,
} from "@dunlin/core/testing"
import { createPlainEngine, linkPlainEngines, openReplica, type PlainEngine } from "./plain-engine.ts"

export interface CrossingWrites {
  /** How long after the writes some device last showed that something was pending, as its application sees it. */
  readonly pendingMs: number
  /** How many different states the devices hold at the end: 1 if they are equal. */
  readonly states: number
}

const NAMES = ["a", "b", "c"] as const
/** The writes begin within this. */
const APART_MS = 60
const LOOK_EVERY_MS = 20
/** Longer than from one heartbeat to the next, which would put right what was shown wrongly. */
const WATCHED_MS = 12_000

interface Device extends PlainEngine {
  readonly collection: MemoryCollection
}

/** Three linked devices with disks of different speeds write the same entry at almost the same time. */
export async function runCrossingWrites(seed: number): Promise<CrossingWrites> {
  const time = createSimulatedTime()
  const random = createSeededRandom(`crossing-writes/${seed}`)
  const devices: Device[] = []
  for (const name of NAMES) devices.push(await startDevice(name, time, random))
  for (const [at, one] of devices.entries()) {
    for (const other of devices.slice(at + 1)) {
      const latencyMs = 1 + random.below(20)
      const fork = random.fork(`${one.session},${other.session}`)
      linkPlainEngines([one, other], { latencyMs }, time, fork)
    }
  }
  await time.runFor(2_000)
  void devices[0]?.collection.set("entry", { by: "the first" })
  await time.runFor(WATCHED_MS)

  for (const { clock, collection, session } of devices)
    clock.after(random.below(APART_MS), () => void collection.set("entry", { by: session }))
  await time.runFor(APART_MS)
  const writtenAt = time.now
  let pendingMs = 0
  while (time.now < writtenAt + WATCHED_MS) {
    if (devices.some(showsPending)) pendingMs = time.now - writtenAt
    await time.runFor(LOOK_EVERY_MS)
  }
  const states = new Set(devices.map(({ collection }) => JSON.stringify(collection.get("entry"))))
  return { pendingMs, states: states.size }
}

function showsPending({ engine }: Device): boolean {
  return [...engine.links.get().values()].some(({ replicas }) =>
    [...replicas.values()].some(({ pendingIn, pendingOut }) => pendingIn + pendingOut > 0),
  )
}

async function startDevice(name: string, time: SimulatedTime, random: SeededRandom): Promise<Device> {
  const plain = createPlainEngine(name, time, random)
  const { engine, clock, chance } = plain
  const disk = createSimulatedDisk({ time, random: chance.fork("disk") })
  disk.setSyncMs(1, 1 + chance.below(30))
  const replica = createMemoryReplica({
    name: "notes",
    store: disk.open(),
    clock,
    random: chance.fork("replica"),
  })
  return { ...plain, collection: await openReplica(engine, replica, time) }
}
