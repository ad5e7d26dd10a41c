import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { canonicalJson, memoryIdentity } from "@dunlin/core"
import { startSignalingServerSimplePeer } from "@dunlin/host"
import { getConnectionHandlerSimplePeer, mergeFields, replicateWebRTC } from "@dunlin/rxdb"
import * as wrtc from "node-datachannel/polyfill"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import type { Harness } from "../browser/harness.ts"
import type { TestSite } from "../browser/harness/test-site.ts"
import { type CrashNote, crashSchema } from "./crash-schema.ts"
import { isEarlier, type WitnessedWrite } from "../crash-witness.ts"

type Page = typeof import("./crash-page.ts")

export interface CrashReport {
  readonly cycles: number
  readonly acknowledged: number
  /** Acknowledged writes that were missing when somebody looked: which, where, and what was there instead. */
  readonly lost: readonly string[]
  /** Kills after which the browser had lost its own commits; then only what the peer holds can be expected. */
  readonly forgotten: readonly string[]
  /** Whether the browser and the Node peer show the same at the end. */
  readonly equal: boolean
  /** What each shows for the documents that differ at the end. */
  readonly different: readonly string[]
  /** How many peers the browser and the Node peer count at the end. */
  readonly peers: readonly [browser: number, node: number]
}

export interface CrashOptions {
  readonly cycles: number
  readonly progress?: (cycle: number) => void
  /** Called with the browser's profile after each kill. */
  readonly killed?: (kills: number, profile: string) => Promise<void>
}

/** Repeatedly kills a browser during writes, while a peer in this process edits the same documents. */
export async function runCrashCycles(
  harness: Harness,
  site: TestSite,
  { cycles, progress, killed }: CrashOptions,
): Promise<CrashReport> {
  const server = await startSignalingServerSimplePeer({ port: 0 })
  const folder = await mkdtemp(join(tmpdir(), "dunlin-rxdb-crash-"))
  const topic = `crash-${process.pid}-${Date.now()}`
  const peer = await openPeer(server.localUrl, topic)
  const expected = new Set<string>()
  const counters = new Map<string, number>()
  const lost: string[] = []
  const forgotten: string[] = []
  let witnessed: WitnessedWrite | null = null
  const check = (where: string, documents: readonly CrashNote[]): void => {
    const byId = new Map(documents.map((document) => [document.id, document]))
    for (const id of expected) if (!byId.has(id)) lost.push(`${id} ${where}`)
    for (const [id, count] of counters) {
      const found = byId.get(id)?.count ?? -1
      if (found < count) lost.push(`${id} ${where}: ${found} of ${count}`)
    }
  }
  /** What the browser itself lost does not count against the collection, unless the peer has it. */
  const compareMemory = async (remembered: WitnessedWrite | null, kills: number): Promise<void> => {
    if (witnessed === null || !isEarlier(remembered, witnessed)) return
    forgotten.push(`${JSON.stringify(remembered)} of ${JSON.stringify(witnessed)} after ${kills} kills`)
    const held = byId(await peer.contents())
    for (const id of expected) if (held[id] === undefined) expected.delete(id)
    for (const [id, count] of counters) counters.set(id, Math.min(count, held[id]?.count ?? -1))
    witnessed = remembered
  }

  try {
    for (let cycle = 0; cycle < cycles; cycle++) {
      const profile = await harness.chromium({ profile: folder })
      const tab = await profile.open<Page>(site)
      await compareMemory(await tab.call("start", { server: server.localUrl, topic }), cycle)
      // An empty browser gets back what the peer holds in its own time; the check at the end shows whether it did.
      if (forgotten.length === 0) check(`in the page after ${cycle} kills`, await tab.call("contents"))
      await tab.call("writeForEver", cycle)
      const edits = editForAWhile(peer.collection, cycle)
      await pause(400 + ((cycle * 137) % 500))
      const { inserted, counted, witnessed: last } = await tab.call("acknowledged")
      witnessed = last ?? witnessed
      for (const id of inserted) expected.add(id)
      if (inserted.length > 1) counters.set(`counter-${cycle}`, counted)
      await profile.kill()
      await edits
      await killed?.(cycle + 1, folder)
      progress?.(cycle + 1)
    }
    const profile = await harness.chromium({ profile: folder })
    const tab = await profile.open<Page>(site)
    await compareMemory(await tab.call("start", { server: server.localUrl, topic }), cycles)
    const equal = await eventually(async () => {
      const [theirs, ours] = [await tab.call("contents"), await peer.contents()]
      return canonicalJson(byId(theirs)) === canonicalJson(byId(ours))
    })
    check("in the page at the end", await tab.call("contents"))
    check("at the peer at the end", await peer.contents())
    const different = differences(byId(await tab.call("contents")), byId(await peer.contents()))
    const peers = [await tab.call("peers"), peer.peers()] as const
    await profile.close()
    return { cycles, acknowledged: expected.size, lost, forgotten, equal, different, peers }
  } finally {
    await peer.close()
    await server.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function openPeer(server: string, topic: string) {
  const database = await createRxDatabase({
    name: `crash-peer-${process.pid}-${Date.now()}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  const { notes } = await database.addCollections({
    notes: { schema: crashSchema, conflictHandler: mergeFields<CrashNote>() },
  })
  const pool = await replicateWebRTC({
    collection: notes,
    topic,
    connectionHandlerCreator: getConnectionHandlerSimplePeer(server, wrtc as never),
    identity: memoryIdentity(),
    pull: {},
    push: {},
  })
  return {
    collection: notes,
    async contents(): Promise<readonly CrashNote[]> {
      return (await notes.find().exec()).map((document) => document.toMutableJSON())
    },
    peers: () => pool.peerStates$.getValue().size,
    close: () => database.close(),
  }
}

async function editForAWhile(collection: RxCollection<CrashNote>, cycle: number): Promise<void> {
  for (let n = 0; n < 20; n++) {
    await collection.incrementalUpsert({ id: `contested-${n % 5}`, text: `peer ${cycle}-${n}` })
    await pause(20)
  }
}

async function eventually(condition: () => Promise<boolean>): Promise<boolean> {
  const end = Date.now() + 60_000
  while (Date.now() < end) {
    if (await condition()) return true
    await pause(200)
  }
  return false
}

function differences(
  theirs: Readonly<Record<string, CrashNote>>,
  ours: Readonly<Record<string, CrashNote>>,
): readonly string[] {
  const ids = new Set([...Object.keys(theirs), ...Object.keys(ours)])
  return [...ids]
    .filter((id) => canonicalJson(theirs[id] ?? null) !== canonicalJson(ours[id] ?? null))
    .map((id) => `${id}: ${JSON.stringify(theirs[id])} in the page, ${JSON.stringify(ours[id])} at the peer`)
}

function byId(documents: readonly CrashNote[]): Readonly<Record<string, CrashNote>> {
  return Object.fromEntries(documents.map((document) => [document.id, document]))
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
