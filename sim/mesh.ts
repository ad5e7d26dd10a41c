import {
  createMemoryReplica,
  createSeededRandom,
  createSimulatedConnection,
  createSimulatedTime,
  createSyncEngine,
  decodeMessage,
  isLeafId,
  leafId,
  type MemoryCollection,
  planMesh,
  type SeededRandom,
  type SimulatedConnection,
  type SimulatedTime,
  type SyncEngine,
} from "@dunlin/core/testing"
import { linkEngine } from "./engine-link.ts"
import { strictEvents } from "./strict-events.ts"

export interface MeshOptions {
  readonly seed: number
  readonly peers: number
  /** How many of the peers are readers to everybody; default none. */
  readonly readers?: number
  readonly maxLinks: number
  readonly writes: number
  /** Peers that leave and are replaced while writes go on. */
  readonly churn: number
}

export interface MeshResult {
  readonly peers: number
  readonly readers: number
  readonly linksMean: number
  readonly linksMax: number
  /** Links between the author of a write and a peer that it reached. */
  readonly hops: { readonly mean: number; readonly max: number }
  /** Payload frames that arrive per peer and write, once the links have settled. */
  readonly receptions: number
  readonly bytesPerPeerAndWrite: number
  /** Virtual milliseconds from a write to the last peer that shows it: median and worst. */
  readonly reachMs: { readonly p50: number; readonly max: number }
  /** From a peer's presence to the last peer that sees it. */
  readonly presenceMs: number
  /** After the churn all peers hold the same within this time. */
  readonly convergedAfterMs: number
}

interface Member {
  /** The session id, which the engine knows. */
  readonly id: string
  /** The id that the plan knows. It changes once the member has heard that it is a reader. */
  peerId: string
  readonly role: "writer" | "reader"
  readonly engine: SyncEngine
  /** Sessions whose presence this peer sees. */
  readonly seen: Set<string>
  readonly collection: MemoryCollection
  readonly linkById: Map<string, SimulatedConnection>
  /** Links between the author of a write and this peer, by key. */
  readonly hopsByKey: Map<string, number>
  alive: boolean
}

const LATENCY_MS: readonly [number, number] = [5, 40]
/** How long it takes until everybody knows who came or went, and has acted on it. */
const PRESENCE_MS = 500
const SETTLE_MS = 20_000
const CONVERGE_LIMIT_MS = 180_000
const CONVERGE_STEP_MS = 100
/** Written by many at once while peers come and go, so that they conflict. */
const SHARED_KEYS = 5
const DIGEST_KEY = new Uint8Array(32).fill(3)
const ROOM_TAG = new Uint8Array(32).fill(4)

/** A large room in virtual time: the production engine on a planned mesh, with peers that come and go. */
export async function runMesh(options: MeshOptions): Promise<MeshResult> {
  const time = createSimulatedTime()
  const random = createSeededRandom(`mesh/${options.seed}`)
  const members: Member[] = []
  const traffic: Traffic = { payloads: 0, bytes: 0, counting: false }
  const { readers = 0 } = options

  const join = async (role: Member["role"]): Promise<void> => {
    members.push(await createMember(role, time, random.fork(`member/${members.length}`)))
  }
  let plannedFor: readonly string[] = []
  const relink = (): void => {
    for (const member of living(members)) moveIfReader(member)
    const present = living(members)
      .map(({ peerId }) => peerId)
      .join()
    // Twice for each list: a link that is cut ends a moment later, and can be made again only then.
    if (plannedFor.length === 2 && plannedFor.every((list) => list === present)) return
    plannedFor = [...plannedFor, present].slice(-2)
    linkAsPlanned(members, options.maxLinks, { time, random, traffic })
  }

  for (let count = 0; count < options.peers; count++) await join(count < readers ? "reader" : "writer")
  // Only peers that are linked to a reader know that it is one.
  for (let passed = 0; passed < SETTLE_MS; passed += PRESENCE_MS) {
    relink()
    await time.runFor(PRESENCE_MS)
  }

  // The first writes find the tree: links that only bring duplicates are pruned.
  await writeSome(members, random, time, 30, "warm")
  await time.runFor(SETTLE_MS)

  traffic.counting = true
  const reach: number[] = []
  for (let write = 0; write < options.writes; write++) {
    reach.push(await reachOfOneWrite(members, random, time, `measured-${write}`))
  }
  await time.runFor(2_000)
  traffic.counting = false
  const { payloads, bytes } = traffic
  const links = living(members).map(({ linkById }) => linkById.size)
  const hops = members.flatMap(({ hopsByKey }) => [...hopsByKey.values()])
  const presenceMs = await reachOfPresence(members, random, time)

  for (let change = 0; change < options.churn; change++) {
    const gone = random.pick(living(members))
    leave(gone)
    await join(gone.role)
    await time.runFor(PRESENCE_MS)
    relink()
    await writeSome(members, random, time, 1, `churn-${change}`)
    for (const member of [random.pick(writers(members)), random.pick(writers(members))]) {
      void member.collection.set(`shared-${change % SHARED_KEYS}`, { by: member.id, change })
    }
  }
  const startedAt = time.now
  do {
    if (time.now - startedAt > CONVERGE_LIMIT_MS)
      throw new Error(`mesh of ${options.peers}, seed ${options.seed}: not equal after churn`)
    await time.runFor(CONVERGE_STEP_MS)
    relink()
  } while (!allEqual(members))
  const result: MeshResult = {
    peers: options.peers,
    readers,
    linksMean: sum(links) / links.length,
    linksMax: Math.max(...links),
    receptions: payloads / (options.writes * (options.peers - 1)),
    bytesPerPeerAndWrite: bytes / (options.writes * options.peers),
    reachMs: { p50: median(reach), max: Math.max(...reach) },
    hops: { mean: sum(hops) / hops.length, max: hops.reduce((most, count) => Math.max(most, count), 0) },
    presenceMs,
    convergedAfterMs: time.now - startedAt,
  }
  for (const member of living(members)) leave(member)
  return result
}

async function createMember(
  role: Member["role"],
  time: SimulatedTime,
  random: SeededRandom,
): Promise<Member> {
  const sessionId = random.bytes(16)
  const id = Buffer.from(sessionId).toString("hex")
  const seen = new Set<string>()
  const clock = time.clock()
  const engine = createSyncEngine({
    clock,
    random: random.fork("engine"),
    sessionId,
    device: deviceOf(id),
    signer: simulatedSigner,
    digestKey: DIGEST_KEY,
    roomTag: ROOM_TAG,
    events: {
      ...strictEvents,
      presence(session, value) {
        if (value === null) seen.delete(session)
        else seen.add(session)
      },
    },
  })
  const replica = createMemoryReplica({ name: "notes", clock, random: random.fork("replica") })
  const collection = await engine.replicate(replica)
  const peerId = peerIdOf(sessionId, false)
  return {
    id,
    peerId,
    role,
    engine,
    seen,
    collection,
    linkById: new Map(),
    hopsByKey: new Map(),
    alive: true,
  }
}

/** All that matters here is who relays what; real signatures are made on threads that virtual time does not wait for. */
const simulatedSigner: NonNullable<Parameters<typeof createSyncEngine>[0]["signer"]> = {
  sign: () => Promise.resolve(new Uint8Array(64)),
  verify: () => Promise.resolve(true),
}

function peerIdOf(session: Uint8Array, isLeaf: boolean): string {
  return Buffer.from(leafId(session, isLeaf)).toString("hex")
}

function deviceOf(id: string): string {
  return id.repeat(2)
}

interface Traffic {
  payloads: number
  bytes: number
  counting: boolean
}

interface LinkWorld {
  readonly time: SimulatedTime
  readonly random: SeededRandom
  readonly traffic: Traffic
}

/** Makes the links that the plan names and ends those that it does not, as each peer would for itself. */
function linkAsPlanned(members: readonly Member[], maxLinks: number, world: LinkWorld): void {
  const alive = living(members)
  const ids = alive.map(({ peerId }) => peerId)
  const byPeerId = new Map(alive.map((member) => [member.peerId, member]))
  for (const member of alive) {
    const { ring, chords } = planMesh(member.peerId, ids, maxLinks)
    const planned = new Set([...ring, ...chords].map((id) => byPeerId.get(id)?.id ?? ""))
    for (const [id, connection] of member.linkById) {
      if (!planned.has(id)) connection.cut([0, 0])
    }
    for (const id of [...ring, ...chords]) {
      const other = byPeerId.get(id)
      if (other !== undefined && !member.linkById.has(other.id)) link(member, other, world)
    }
  }
}

/** A member that is told that it is a reader comes back under an id that says so, without the links that it had. */
function moveIfReader(member: Member): void {
  if (isLeafId(member.peerId)) return
  if (![...member.engine.links.get().values()].some(({ refusesEntries }) => refusesEntries)) return
  member.peerId = peerIdOf(Buffer.from(member.id, "hex"), true)
  for (const connection of [...member.linkById.values()]) connection.cut([0, 0])
}

function link(a: Member, b: Member, { time, random, traffic }: LinkWorld): void {
  const connection = createSimulatedConnection({
    time,
    random: random.fork(`${a.id}/${b.id}`),
    names: [a.id, b.id],
    latencyMs: LATENCY_MS,
  })
  attach(a, b, connection, 0)
  attach(b, a, connection, 1)
  for (const end of [0, 1] as const) {
    connection.setTap(end, (_lane, message) => {
      if (traffic.counting) count(traffic, message, end === 0 ? [a, b] : [b, a])
      return [message]
    })
  }
}

function count(traffic: Traffic, message: Uint8Array, [from, to]: readonly [Member, Member]): void {
  traffic.bytes += message.length
  for (const { frame } of decodeMessage(message)) {
    if (frame.type !== "push" && frame.type !== "data") continue
    traffic.payloads++
    if (!to.hopsByKey.has(frame.key)) to.hopsByKey.set(frame.key, (from.hopsByKey.get(frame.key) ?? 0) + 1)
  }
}

function attach(own: Member, other: Member, connection: SimulatedConnection, end: 0 | 1): void {
  own.linkById.set(other.id, connection)
  const peer = { session: other.id, device: deviceOf(other.id), role: other.role }
  linkEngine(own.engine, connection, end, peer, () => {
    if (own.linkById.get(other.id) === connection) own.linkById.delete(other.id)
  })
}

function leave(member: Member): void {
  member.alive = false
  void member.engine.close()
}

async function writeSome(
  members: readonly Member[],
  random: SeededRandom,
  time: SimulatedTime,
  count: number,
  label: string,
): Promise<void> {
  for (let write = 0; write < count; write++) {
    void random.pick(writers(members)).collection.set(`${label}-${write}`, { text: "x".repeat(120) })
    await time.runFor(200)
  }
}

async function reachOfOneWrite(
  members: readonly Member[],
  random: SeededRandom,
  time: SimulatedTime,
  key: string,
): Promise<number> {
  const startedAt = time.now
  void random.pick(writers(members)).collection.set(key, { text: "x".repeat(120) })
  const reached = await time.runUntil(
    () => living(members).every(({ collection }) => collection.get(key) !== null),
    60_000,
  )
  if (!reached) throw new Error(`${key} did not reach everyone within 60 s`)
  const tookMs = time.now - startedAt
  await time.runFor(1_000)
  return tookMs
}

async function reachOfPresence(
  members: readonly Member[],
  random: SeededRandom,
  time: SimulatedTime,
): Promise<number> {
  const startedAt = time.now
  const author = random.pick(living(members))
  author.engine.setPresence(new Uint8Array([1, 2, 3]))
  const others = living(members).filter((member) => member !== author)
  if (!(await time.runUntil(() => others.every(({ seen }) => seen.has(author.id)), 60_000)))
    throw new Error("presence did not reach everyone within 60 s")
  return time.now - startedAt
}

function allEqual(members: readonly Member[]): boolean {
  const [first, ...rest] = living(members)
  if (first === undefined) return true
  const shown = contentOf(first.collection)
  return rest.every(({ collection }) => {
    if (collection.keys.length !== shown.size) return false
    return [...shown].every(([key, value]) => JSON.stringify(collection.get(key)) === value)
  })
}

function contentOf(collection: MemoryCollection): ReadonlyMap<string, string> {
  return new Map(collection.keys.map((key) => [key, JSON.stringify(collection.get(key))]))
}

function living(members: readonly Member[]): Member[] {
  return members.filter(({ alive }) => alive)
}

function writers(members: readonly Member[]): Member[] {
  return living(members).filter(({ role }) => role === "writer")
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
}
