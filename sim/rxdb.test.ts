// Real RxDB on memory storage under seeded schedules: writes, joins and losses interleave, peers leave and come
// back, handlers misbehave. A failing seed is in the message; `SEED=n npx vitest run --project sim sim/rxdb.test.ts` replays it.
import {
  type AttachedReplica,
  createState,
  type EntryChange,
  type Incoming,
  type ReplicaHost,
  type ReplicaLinkStatus,
} from "@dunlin/core"
import { createSeededRandom, type SeededRandom } from "@dunlin/core/testing"
import { rxdbReplica } from "@dunlin/rxdb"
import {
  createRxDatabase,
  type RxCollection,
  type RxConflictHandler,
  type RxDatabase,
} from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { expect, test } from "vitest"

/** RxDB's free edition opens 13 collections in one process. */
const MAX_PEERS = 5
const KEYS = ["a", "b", "c"]
const SEEDS = 40

interface Note {
  id: string
  /** Names of the writes that are shown, in order. */
  tokens: string
}

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 20 }, tokens: { type: "string" } },
  required: ["id"],
} as const

/** Keeps every token of both sides: what is missing at the end was lost. */
const union: RxConflictHandler<Note> = {
  isEqual: () => false,
  resolve: ({ realMasterState: a, newDocumentState: b }) => {
    if (a._deleted) return Promise.resolve(b)
    if (b._deleted) return Promise.resolve(a)
    return Promise.resolve({
      ...b,
      tokens: [...new Set([...split(a.tokens), ...split(b.tokens)])].toSorted().join(","),
    })
  },
}
const throwing: RxConflictHandler<Note> = {
  isEqual: () => false,
  resolve: ({ newDocumentState }) => {
    if (newDocumentState.tokens.length % 3 === 0) throw new Error("no idea")
    return Promise.resolve({ ...newDocumentState, tokens: `${newDocumentState.tokens},x`.slice(-80) })
  },
}
const random: RxConflictHandler<Note> = {
  isEqual: () => false,
  resolve: ({ newDocumentState }) => Promise.resolve({ ...newDocumentState, tokens: String(Math.random()) }),
}
const HANDLERS: readonly (readonly [string, RxConflictHandler<Note>])[] = [
  ["union", union],
  ["union", union],
  ["throwing", throwing],
  ["random", random],
]

interface Peer {
  readonly collection: RxCollection<Note>
  readonly database: RxDatabase
  attached: AttachedReplica
  /** What the room would hold: entries as reported and as joined. */
  readonly index: Map<string, string>
}

interface Letter {
  readonly to: number
  readonly entries: readonly Incoming[]
}

const seeds =
  process.env["SEED"] === undefined
    ? Array.from({ length: SEEDS }, (_, n) => n)
    : [Number(process.env["SEED"])]

test.each(seeds)("seed %i comes to rest, equal everywhere, with nothing lost", async (seed) => {
  const chance = createSeededRandom(`rxdb/${seed}`)
  const [handlerName, handler] = HANDLERS[seed % HANDLERS.length] ?? ["union", union]
  const peers: Peer[] = []
  let letters: Letter[] = []
  const write = createWriter()
  try {
    const count = 3 + chance.below(MAX_PEERS - 2)
    for (let n = 0; n < count; n++) peers.push(await openPeer(`sim-${seed}-${n}`, handler, post(n)))
    for (let step = 0; step < 60; step++) {
      // Up to three things at once: reads, joins and writes of one document get into each other's way.
      await Promise.all(Array.from({ length: 1 + chance.below(3) }, () => act()))
    }
    letters = []
    await heal(peers)
    const shown = await Promise.all(peers.map(contents))
    for (const one of shown) expect(one).toEqual(shown[0])
    for (const peer of peers) expect(await scanned(peer)).toEqual(peer.index)
    if (handlerName === "union") expect(write.lost(shown[0] ?? {})).toEqual([])
  } finally {
    await Promise.all(peers.map(({ database }) => database.close()))
  }

  function post(from: number): (changes: readonly EntryChange[]) => void {
    return (changes) => {
      const entries = changes.flatMap(({ key, delta }) => (delta === undefined ? [] : [{ key, delta }]))
      for (let to = 0; to < peers.length; to++)
        if (to !== from && entries.length > 0 && chance.below(10) < 7) letters.push({ to, entries })
    }
  }

  async function act(): Promise<void> {
    const dice = chance.below(100)
    const peer = peers[chance.below(peers.length)] as Peer
    if (dice < 35) await write.act(peer.collection, chance)
    else if (dice < 75) await deliver()
    else if (dice < 95) await pull(peer, peers[chance.below(peers.length)] as Peer, KEYS)
    else await restart(peer)
  }

  async function deliver(): Promise<void> {
    if (letters.length === 0) return
    const at = chance.below(letters.length)
    const letter = letters[at] as Letter
    if (chance.below(10) > 0) letters.splice(at, 1)
    await join(peers[letter.to] as Peer, letter.entries)
  }
})

/** Detaches and attaches again, as when an application restarts: the index is read from the rows. */
async function restart(peer: Peer): Promise<void> {
  const { attached } = peer
  await attached.detach()
  if (peer.attached !== attached) return
  const again = await attach(peer.collection, peer.index, () => {}).catch(() => null)
  if (again === null) return
  peer.attached = again
  for (const [key, hash] of await scanned(peer)) peer.index.set(key, hash)
}

async function openPeer(
  name: string,
  conflictHandler: RxConflictHandler<Note>,
  post: (changes: readonly EntryChange[]) => void,
): Promise<Peer> {
  const database = await createRxDatabase({
    name: `${name}-${Date.now()}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  const { notes } = await database.addCollections({ notes: { schema, conflictHandler } })
  const index = new Map<string, string>()
  return { database, collection: notes, index, attached: await attach(notes, index, post) }
}

async function attach(
  collection: RxCollection<Note>,
  index: Map<string, string>,
  post: (changes: readonly EntryChange[]) => void,
): Promise<AttachedReplica> {
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed(changes) {
      for (const { key, stateHash } of changes) {
        if (stateHash === null) index.delete(key)
        else index.set(key, hex(stateHash))
      }
      post(changes)
    },
    report: () => {},
    released: () => void attached.detach(),
    synced: () => Promise.resolve(),
    links: createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map()),
  }
  const attached = await rxdbReplica(collection as unknown as RxCollection).attach(host)
  return attached
}

const SOMEBODY = { session: "00".repeat(16), device: "00".repeat(32) }

async function join(peer: Peer, entries: readonly Incoming[]): Promise<void> {
  const outcomes = await peer.attached.join(entries, SOMEBODY).catch(() => [])
  for (const [at, outcome] of outcomes.entries())
    if (outcome.type === "joined") peer.index.set(entries[at]?.key ?? "", hex(outcome.stateHash))
}

/** `to` asks `from` for what it lacks. */
async function pull(to: Peer, from: Peer, keys: readonly string[]): Promise<void> {
  if (to === from) return
  try {
    const summaries = await to.attached.summarize(keys)
    const answers = await from.attached.read(
      keys.map((key, at) => ({ key, summary: summaries[at] ?? new Uint8Array(0) })),
      SOMEBODY,
    )
    await join(
      to,
      answers.flatMap((answer, at) =>
        answer.type === "delta" ? [{ key: keys[at] ?? "", delta: answer.delta }] : [],
      ),
    )
  } catch {
    // One of them is restarting.
  }
}

async function heal(peers: readonly Peer[]): Promise<void> {
  for (let round = 0; round < 12; round++) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    for (const [at, peer] of peers.entries()) {
      const next = peers[(at + 1) % peers.length] as Peer
      await pull(peer, next, KEYS)
      await pull(next, peer, KEYS)
    }
    const states = await Promise.all(peers.map(scanned))
    if (
      states.every(
        (state) =>
          JSON.stringify([...state].toSorted()) === JSON.stringify([...(states[0] ?? [])].toSorted()),
      )
    )
      return
  }
  throw new Error("the peers did not come to rest")
}

async function scanned(peer: Peer): Promise<Map<string, string>> {
  const entries = new Map<string, string>()
  for await (const page of peer.attached.scan(null))
    for (const { key, stateHash } of page.entries) if (stateHash !== null) entries.set(key, hex(stateHash))
  return entries
}

async function contents({ collection }: Peer): Promise<Readonly<Record<string, string>>> {
  const documents = await collection.find().exec()
  return Object.fromEntries(documents.map((document) => [document.primary, document.tokens]))
}

/** Makes writes with names, and notes what each of them had seen. */
function createWriter() {
  const covered = new Set<string>()
  const made = new Map<string, string>()
  let next = 0
  return {
    async act(collection: RxCollection<Note>, chance: SeededRandom): Promise<void> {
      const key = KEYS[chance.below(KEYS.length)] ?? "a"
      const token = `w${next++}`
      const document = await collection.findOne(key).exec()
      const removes = document !== null && chance.below(6) === 0
      try {
        if (document === null) await collection.insert({ id: key, tokens: token })
        else if (removes) await document.remove()
        // A plain patch fails when somebody else was quicker, and then nothing was seen or written.
        else await document.patch({ tokens: token })
      } catch {
        return
      }
      if (!removes) made.set(token, key)
      for (const seen of split(document?.tokens ?? "")) if (seen !== token) covered.add(`${key}/${seen}`)
    },
    lost(shown: Readonly<Record<string, string>>): readonly string[] {
      return [...made]
        .filter(([token, key]) => !covered.has(`${key}/${token}`) && !split(shown[key] ?? "").includes(token))
        .map(([token, key]) => `${key}/${token}`)
    },
  }
}

function split(tokens: string): readonly string[] {
  return tokens === "" ? [] : tokens.split(",")
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}
