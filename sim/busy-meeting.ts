import {
  createMemoryReplica,
  createMemoryStore,
  createSeededRandom,
  createSimulatedTime,
  decodeMessage,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedConnection,
  type SimulatedTime,
} from "@dunlin/core/testing"
import { createPlainEngine, linkPlainEngines, openReplica, type PlainEngine } from "./plain-engine.ts"

/** The path between two devices, the same both ways. */
export interface MeetingPath {
  readonly latencyMs: number
  readonly bytesPerMs: number
}

export interface BusyMeeting {
  /** Entries that still differ when the time is over. */
  readonly differing: number
  /** How long each key press took to reach the other side, shortest first. */
  readonly pressesMs: readonly number[]
  /** The most requests for ranges that were under way at once. */
  readonly mostRequests: number
  /** When the last range of the first comparison travelled, since the start. */
  readonly comparedMs: number
}

const ENTRIES = 30_000
/** More than the table of wanted entries holds for one link. */
const CHANGED_BY_EACH = 9_000
const PRESS_EVERY_MS = 20
const LOOK_EVERY_MS = 4
/** Comparisons on one link are seconds apart. */
const RANGES_APART_MS = 1_000

interface Device extends PlainEngine {
  readonly collection: MemoryCollection
}

/** Two devices that differ by thousands of changes made on each meet again; both type all the time, or for `typingMs`. */
export async function runBusyMeeting(
  path: MeetingPath,
  forMs: number,
  typingMs: number = forMs,
): Promise<BusyMeeting> {
  const time = createSimulatedTime()
  const random = createSeededRandom("busy-meeting")
  const devices = [await startDevice("a", time, random), await startDevice("b", time, random)] as const
  const [a, b] = devices
  for (let at = 0; at < ENTRIES; at++) void a.collection.set(`entry-${at}`, { at })
  await time.runFor(500)
  const first = linkPlainEngines(devices, { latencyMs: 1 }, time, random.fork(`${time.now}`))
  await time.runFor(3_000)
  first.cut([0, 0])
  for (let at = 0; at < 2 * CHANGED_BY_EACH; at++)
    void (at % 2 === 0 ? a : b).collection.set(`entry-${at}`, { at, changed: true })
  await time.runFor(500)

  const { latencyMs, bytesPerMs } = path
  const connection = linkPlainEngines(
    devices,
    { latencyMs, bytesPerMs: [bytesPerMs, bytesPerMs] },
    time,
    random.fork(`${time.now}`),
  )
  const requests = watchRequests(connection, time)
  const pressesMs: number[] = []
  const waiting = new Map<string, { readonly by: Device; readonly at: number }>()
  for (let now = 0; now < forMs; now += LOOK_EVERY_MS) {
    if (now < typingMs && now % PRESS_EVERY_MS === 0) {
      for (const by of devices) {
        const key = `press-${by.session}-${now}`
        waiting.set(key, { by, at: time.now })
        void by.collection.set(key, { now })
      }
    }
    await time.runFor(LOOK_EVERY_MS)
    for (const [key, { by, at }] of waiting) {
      if ((by === a ? b : a).collection.get(key) === null) continue
      pressesMs.push(time.now - at)
      waiting.delete(key)
    }
  }
  let differing = 0
  for (let at = 0; at < ENTRIES; at++) {
    const [one, other] = devices.map(({ collection }) => JSON.stringify(collection.get(`entry-${at}`)))
    if (one !== other) differing++
  }
  connection.cut([0, 0])
  return { differing, pressesMs: pressesMs.toSorted((x, y) => x - y), ...requests() }
}

async function startDevice(name: string, time: SimulatedTime, random: SeededRandom): Promise<Device> {
  const plain = createPlainEngine(name, time, random)
  const { engine, clock, chance } = plain
  const store = createMemoryStore()
  const replica = createMemoryReplica({ name: "notes", store, clock, random: chance.fork("replica") })
  return { ...plain, collection: await openReplica(engine, replica, time) }
}

function watchRequests(
  connection: SimulatedConnection,
  time: SimulatedTime,
): () => Pick<BusyMeeting, "mostRequests" | "comparedMs"> {
  const startedAt = time.now
  let out = 0
  let mostRequests = 0
  let comparedMs = 0
  for (const end of [0, 1] as const) {
    connection.setTap(end, (_lane, message) => {
      for (const { frame } of decodeMessage(message)) {
        if (frame.type === "range-ack") out--
        if (frame.type !== "range") continue
        if (!frame.reply) out++
        mostRequests = Math.max(mostRequests, out)
        const now = time.now - startedAt
        if (comparedMs === 0 || now - comparedMs < RANGES_APART_MS) comparedMs = now
      }
      return [message]
    })
  }
  return () => ({ mostRequests, comparedMs })
}
