import {
  createMemoryReplica,
  createMemoryStore,
  createSeededRandom,
  createSimulatedTime,
  decodeMessage,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedTime,
} from "@dunlin/core/testing"
import { createPlainEngine, linkPlainEngines, type PlainEngine, type PlainPath } from "./plain-engine.ts"

/** A path of limited speed. */
export type SlowPath = PlainPath & Required<Pick<PlainPath, "bytesPerMs">>

/** How two devices differ, in each of their replicas. */
export interface Differences {
  readonly replicas: number
  /** Entries that both hold. */
  readonly shared: number
  /** Entries that each end holds alone. */
  readonly apart: readonly [number, number]
  /** Shared entries that each end has changed, the first end the first of them and the second the last. */
  readonly changed?: readonly [number, number]
}

export interface SlowMeeting {
  /** Whether nothing differs, and the first link is still open. */
  readonly equal: boolean
  readonly tookMs: number
  /** Comparisons that began. */
  readonly runs: number
  /** Entries sent by both ends. */
  readonly entries: number
  readonly sentBytes: number
}

const ENTRY_BYTES = 250
const LOOK_EVERY_MS = 100
/** Long enough for anything that would be sent again. */
const REST_MS = 30_000
const FAST: SlowPath = { latencyMs: 1, bytesPerMs: [12_500, 12_500] }

interface Device extends PlainEngine {
  readonly collections: readonly MemoryCollection[]
}

type Stores = readonly ReturnType<typeof createMemoryStore>[]

/** Two devices meet on a path that is `slow` from the start, or becomes so after `slowAfterRequests` requests for ranges. */
export async function runSlowMeeting(
  { replicas, shared, apart, changed = [0, 0] }: Differences,
  slow: SlowPath,
  limitMs: number,
  slowAfterRequests = 0,
): Promise<SlowMeeting> {
  const time = createSimulatedTime()
  const random = createSeededRandom("slow-path")
  const createStores = (): Stores => Array.from({ length: replicas }, () => createMemoryStore())
  const stores = [createStores(), createStores()] as const
  // They got what they share from each other and then forgot it, so no common root shortens the comparison.
  const before = await startPair("before", stores, time, random)
  for (const collection of before[0].collections)
    for (let at = 0; at < shared; at++) void collection.set(`shared-${at}`, { text: textOf(random) })
  const fast = linkPlainEngines(before, FAST, time, random.fork(`${time.now}`))
  await time.runFor(5_000)
  fast.cut([0, 0])
  for (const { clock } of before) clock.stop()

  const devices = await startPair("now", stores, time, random)
  const [first, second] = devices
  for (const end of [0, 1] as const) {
    for (const collection of devices[end].collections) {
      for (let at = 0; at < apart[end]; at++) void collection.set(`${end}-${at}`, { text: textOf(random) })
      for (let at = 0; at < changed[end]; at++)
        void collection.set(`shared-${end === 0 ? at : shared - 1 - at}`, { text: textOf(random) })
    }
  }
  await time.runFor(500)

  const path = slowAfterRequests > 0 ? FAST : slow
  const connection = linkPlainEngines(devices, path, time, random.fork(`${time.now}`))
  const startedAt = time.now
  const salts = new Set<number>()
  let requests = 0
  let entries = 0
  for (const end of [0, 1] as const) {
    connection.setTap(end, (_lane, message) => {
      for (const { frame } of decodeMessage(message)) {
        if (frame.type === "data" || frame.type === "push") entries++
        if (frame.type !== "range") continue
        salts.add(frame.salt)
        if (frame.reply || ++requests !== slowAfterRequests) continue
        for (const from of [0, 1] as const) connection.setBytesPerMs(from, slow.bytesPerMs[from])
      }
      return [message]
    })
  }
  let equal = false
  while (!equal && time.now - startedAt < limitMs) {
    await time.runFor(LOOK_EVERY_MS)
    equal = first.collections.every((one, at) => isEqual(one, second.collections[at] as MemoryCollection))
  }
  const tookMs = time.now - startedAt
  await time.runFor(REST_MS)
  equal &&= connection.isOpen
  connection.cut([0, 0])
  return {
    equal,
    tookMs,
    runs: salts.size,
    entries,
    sentBytes: connection.sentBytes(0) + connection.sentBytes(1),
  }
}

async function startPair(
  when: string,
  stores: readonly [Stores, Stores],
  time: SimulatedTime,
  random: SeededRandom,
): Promise<readonly [Device, Device]> {
  return [
    await startDevice(`a/${when}`, stores[0], time, random),
    await startDevice(`b/${when}`, stores[1], time, random),
  ]
}

async function startDevice(
  name: string,
  stores: Stores,
  time: SimulatedTime,
  random: SeededRandom,
): Promise<Device> {
  const plain = createPlainEngine(name, time, random)
  const { engine, clock, chance } = plain
  const collections: MemoryCollection[] = []
  stores.forEach((store, at) => {
    const replica = createMemoryReplica({ name: `${at}`, store, clock, random: chance.fork(`replica/${at}`) })
    void engine.replicate(replica).then((opened) => (collections[at] = opened))
  })
  await time.runFor(1_000)
  if (Object.keys(collections).length < stores.length) throw new Error("a replica did not open")
  return { ...plain, collections }
}

/** Random, so that texts are equal only if they were sent. */
function textOf(random: SeededRandom): string {
  return Buffer.from(random.bytes(ENTRY_BYTES / 2)).toString("hex")
}

function isEqual(one: MemoryCollection, other: MemoryCollection): boolean {
  if (one.keys.length !== other.keys.length) return false
  return one.keys.every((key) => one.get(key)?.text === other.get(key)?.text)
}
