import {
  createMemoryReplica,
  createSeededRandom,
  createSimulatedConnection,
  createSimulatedDisk,
  createSimulatedTime,
  createSyncEngine,
  decodeMessage,
  type DiskImage,
  type MemoryCollection,
  type SeededRandom,
  type SimulatedConnection,
  type SimulatedDisk,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
import { linkEngine } from "./engine-link.ts"
import { openReplica } from "./plain-engine.ts"
import { strictEvents } from "./strict-events.ts"

/** What happens to a device between two meetings with a peer that remembers their last common root. */
export type MeetingFault = "none" | "rolled-back" | "wiped" | "cloned"

export interface Meeting {
  readonly fault: MeetingFault
  /** Whether the peer that stayed named the last root it had in common with this device. */
  readonly remembered: boolean
  /** Whether ranges were compared. */
  readonly reconciled: boolean
  /** Entries that differed when they met. */
  readonly differences: number
  /** One-way trips from the end of the handshake until both held the same. */
  readonly trips: number
}

export interface FastPathResult {
  readonly failure: string | null
  readonly meetings: readonly Meeting[]
}

/** What happens to a pair between two meetings. */
export interface Parting {
  /** Entries that each side writes, or only the one that stays. */
  readonly entries: number
  readonly by: "one" | "both"
  /** Characters in each entry. */
  readonly length: number
}

export interface Reunion extends Pick<Meeting, "reconciled" | "trips"> {
  /** One-way trips until the side that stays knows that what it wrote is durable at the other. */
  readonly syncedTrips: number
  readonly sent: FrameCounts
}

export interface FrameCounts {
  readonly offer: number
  readonly want: number
  readonly entries: number
}

const MEETINGS = 8
const PRELOADED = 60
/** The same each way, so that trips can be counted. */
const LATENCY_MS = 50
const MEET_MS = 4_000
const REST_MS = 90_000
const DIGEST_KEY = new Uint8Array(32).fill(5)
const ROOM_TAG = new Uint8Array(32).fill(6)

/** A profile: its disk, and the device key that a copy of it has as well. */
interface Profile {
  readonly name: string
  readonly device: string
  readonly disk: SimulatedDisk
  running: Running | null
  starts: number
}

interface Running {
  readonly session: string
  readonly engine: SyncEngine
  readonly stop: () => void
  collection: MemoryCollection
  connection: SimulatedConnection | null
}

/**
 * Two devices meet, change and part again and again, so that they go by the last common root; in between, one of them is
 * rolled back, wiped or cloned. A clone has the same device key, so the peer believes of one what it remembers of the
 * other.
 */
export async function runFastPath(seed: number): Promise<FastPathResult> {
  const time = createSimulatedTime()
  const random = createSeededRandom(`fast-path/${seed}`)
  const steady = createProfile("steady", time, random)
  const original = createProfile("original", time, random)
  const clone = createProfile("clone", time, random, original.device)
  /** Keys that must not be lost: all that were written, except those whose every copy went with a disk. */
  const owed = new Set<string>()
  const meetings: Meeting[] = []
  let written = 0

  const write = async (profile: Profile, count: number): Promise<void> => {
    const { running } = profile
    for (let at = 0; running !== null && at < count; at++) {
      const key = random.chance(0.3) ? `shared-${random.below(10)}` : `entry-${written}`
      owed.add(key)
      void running.collection.set(key, { by: profile.name, number: written++ })
    }
    await time.runFor(50)
  }
  const start = (profile: Profile): Promise<void> => startProfile(profile, time, random)
  const restart = async (profile: Profile, image: DiskImage): Promise<void> => {
    profile.running?.stop()
    profile.disk.crash()
    profile.disk.restore(image)
    await start(profile)
    const held = [steady, original, clone].flatMap(({ running }) => running?.collection.keys ?? [])
    for (const key of owed) if (!held.includes(key)) owed.delete(key)
  }

  await start(steady)
  await start(original)
  await write(steady, PRELOADED)
  let backup = original.disk.image()
  meetings.push(await meet(steady, original, "none", time, random))

  for (let round = 1; round < MEETINGS; round++) {
    await write(steady, random.below(6))
    await write(original, random.below(6))
    await write(clone, random.below(6))
    const fault = random.pick<MeetingFault>(["none", "none", "rolled-back", "wiped", "cloned"])
    let visitor = original
    if (fault === "rolled-back") await restart(original, backup)
    if (fault === "wiped") await restart(original, new Map())
    if (fault === "cloned") {
      if (clone.running === null) await restart(clone, original.disk.image())
      await write(clone, 1 + random.below(3))
      visitor = clone
    }
    if (random.chance(0.4)) backup = original.disk.image()
    meetings.push(await meet(steady, visitor, fault, time, random))
  }

  const present = [original, clone].filter(({ running }) => running !== null)
  for (const profile of present) connect(steady, profile, time, random)
  const equal = await time.runUntil(() => present.every((one) => sameContent(steady, one)), REST_MS)
  const lost = [...owed].filter((key) => steady.running?.collection.get(key) === null)
  for (const profile of [steady, ...present]) profile.running?.stop()
  const failure = equal
    ? lost.length > 0
      ? `${lost.length} writes are lost: ${lost[0]}`
      : null
    : "the devices are not equal when all of them are linked"
  return { failure, meetings }
}

/** A pair that knows each other parts, changes something, and meets again. */
export async function runReunion({ entries, by, length }: Parting): Promise<Reunion> {
  const time = createSimulatedTime()
  const random = createSeededRandom(`reunion/${entries}/${by}/${length}`)
  const steady = createProfile("steady", time, random)
  const visitor = createProfile("visitor", time, random)
  const write = async (profile: Profile, count: number, text: string): Promise<void> => {
    for (let at = 0; at < count; at++)
      void profile.running?.collection.set(`${profile.name}-${at}`, { by: profile.name, text })
    await time.runFor(1_000)
  }
  for (const profile of [steady, visitor]) await startProfile(profile, time, random)
  await write(steady, PRELOADED, "")
  await meet(steady, visitor, "none", time, random)
  for (const profile of by === "one" ? [steady] : [steady, visitor])
    await write(profile, entries, "x".repeat(length))

  const watched = connect(steady, visitor, time, random)
  const startedAt = time.now
  const tripsSince = (): number => Math.ceil((time.now - startedAt) / LATENCY_MS - 0.5)
  let syncedTrips = Number.POSITIVE_INFINITY
  const asked = steady.running?.engine.synced()
  void asked?.then(() => (syncedTrips = tripsSince()))
  await time.runUntil(() => sameContent(steady, visitor), MEET_MS)
  const trips = tripsSince()
  await time.runFor(MEET_MS)
  for (const profile of [steady, visitor]) profile.running?.stop()
  return { trips, syncedTrips, reconciled: watched.reconciled, sent: watched.sent }
}

export interface Homecoming {
  /** One-way trips until the device that was away held what the others do. */
  readonly trips: number
  /** Entries that it was sent, per entry that it lacked. */
  readonly copies: number
}

/** A device of a room comes back to all others within a few milliseconds; they know what it missed. */
export async function runHomecoming(others: number, entries: number): Promise<Homecoming> {
  const time = createSimulatedTime()
  const random = createSeededRandom(`homecoming/${others}/${entries}`)
  const away = createProfile("away", time, random)
  const room = Array.from({ length: others }, (_, at) => createProfile(`${at}`, time, random))
  for (const profile of [away, ...room]) await startProfile(profile, time, random)
  room.forEach((one, at) => room.slice(at + 1).forEach((other) => connect(one, other, time, random)))
  const first = room[0] as Profile
  const write = (at: number): unknown =>
    first.running?.collection.set(`entry-${at}`, { text: "x".repeat(50) })
  for (let at = 0; at < PRELOADED; at++) void write(at)
  const before = room.map((one) => connect(away, one, time, random))
  await time.runFor(MEET_MS)
  for (const { connection } of before) connection.cut([0, 0])
  for (let at = PRELOADED; at < PRELOADED + entries; at++) void write(at)
  await time.runFor(MEET_MS)

  const startedAt = time.now
  const links = []
  for (const one of room) {
    links.push(connect(away, one, time, random))
    await time.runFor(3)
  }
  await time.runUntil(() => sameContent(away, first), MEET_MS)
  const trips = Math.ceil((time.now - startedAt) / LATENCY_MS - 0.5)
  await time.runFor(MEET_MS)
  const copies = links.reduce((sum, { sent }) => sum + sent.entries, 0) / entries
  for (const profile of [away, ...room]) profile.running?.stop()
  return { trips, copies }
}

function createProfile(
  name: string,
  time: SimulatedTime,
  random: SeededRandom,
  device: string = Buffer.from(random.bytes(32)).toString("hex"),
): Profile {
  const disk = createSimulatedDisk({ time, random: random.fork(`disk/${name}`) })
  return { name, device, disk, running: null, starts: 0 }
}

async function startProfile(profile: Profile, time: SimulatedTime, random: SeededRandom): Promise<void> {
  const chance = random.fork(`process/${profile.name}/${profile.starts++}`)
  const clock = time.clock()
  const sessionId = chance.bytes(16)
  const engine = createSyncEngine({
    clock,
    random: chance.fork("engine"),
    sessionId,
    device: profile.device,
    digestKey: DIGEST_KEY,
    roomTag: ROOM_TAG,
    events: strictEvents,
  })
  const replica = createMemoryReplica({
    name: "notes",
    store: profile.disk.open(),
    clock,
    random: chance.fork("replica"),
  })
  const collection = await openReplica(engine, replica, time)
  const running: Running = {
    session: Buffer.from(sessionId).toString("hex"),
    engine,
    collection,
    connection: null,
    stop() {
      running.connection?.cut([0, 0])
      clock.stop()
      profile.running = null
    },
  }
  profile.running = running
}

interface Watched {
  readonly connection: SimulatedConnection
  /** Whether the first end named a common root. */
  remembered: boolean
  reconciled: boolean
  /** Sent by both ends. */
  readonly sent: { -readonly [Type in keyof FrameCounts]: FrameCounts[Type] }
}

async function meet(
  steady: Profile,
  visitor: Profile,
  fault: MeetingFault,
  time: SimulatedTime,
  random: SeededRandom,
): Promise<Meeting> {
  const differences = countDifferences(steady, visitor)
  const watched = connect(steady, visitor, time, random)
  const startedAt = time.now
  await time.runUntil(() => sameContent(steady, visitor), MEET_MS)
  const trips = Math.ceil((time.now - startedAt) / LATENCY_MS - 0.5)
  // Now roots are compared, and both remember them.
  await time.runFor(MEET_MS)
  const { remembered, reconciled } = watched
  watched.connection.cut([0, 0])
  await time.runFor(100)
  return { fault, remembered, reconciled, differences, trips }
}

function connect(a: Profile, b: Profile, time: SimulatedTime, random: SeededRandom): Watched {
  const connection = createSimulatedConnection({
    time,
    random: random.fork(`${time.now}/${a.name}/${b.name}`),
    names: [a.name, b.name],
    latencyMs: [LATENCY_MS, LATENCY_MS],
  })
  const sent = { offer: 0, want: 0, entries: 0 }
  const watched: Watched = { connection, remembered: false, reconciled: false, sent }
  for (const end of [0, 1] as const) {
    connection.setTap(end, (_lane, message) => {
      for (const { frame } of decodeMessage(message)) {
        if (frame.type === "announce" && end === 0) watched.remembered ||= frame.basis !== null
        if (frame.type === "range") watched.reconciled = true
        if (frame.type === "offer" || frame.type === "want") sent[frame.type] += frame.items.length
        if (frame.type === "data" || frame.type === "push") sent.entries++
      }
      return [message]
    })
  }
  attach(a, b, connection, 0)
  attach(b, a, connection, 1)
  return watched
}

function attach(own: Profile, other: Profile, connection: SimulatedConnection, end: 0 | 1): void {
  const { running } = own
  if (running === null || other.running === null) throw new Error("only running devices meet")
  running.connection = connection
  linkEngine(running.engine, connection, end, { session: other.running.session, device: other.device })
}

function countDifferences(a: Profile, b: Profile): number {
  const [left, right] = [contentOf(a), contentOf(b)]
  return [...new Set([...left.keys(), ...right.keys()])].filter((key) => left.get(key) !== right.get(key))
    .length
}

function sameContent(a: Profile, b: Profile): boolean {
  return countDifferences(a, b) === 0
}

function contentOf({ running }: Profile): ReadonlyMap<string, string> {
  const { collection } = running as Running
  return new Map(collection.keys.map((key) => [key, JSON.stringify(collection.get(key))]))
}
