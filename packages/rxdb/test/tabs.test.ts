import "fake-indexeddb/auto"
import { memoryIdentity } from "@dunlin/core"
import { startSignalingServerSimplePeer, type SimplePeerSignalingServer } from "@dunlin/host"
import * as wrtc from "node-datachannel/polyfill"
import {
  addRxPlugin,
  BROADCAST_CHANNEL_BY_TOKEN,
  createRxDatabase,
  type RxCollection,
  type RxDatabase,
} from "rxdb/plugins/core"
import { disableWarnings, RxDBDevModePlugin } from "rxdb/plugins/dev-mode"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { getConnectionHandlerSimplePeer, replicateWebRTC } from "../src/index.ts"
import { openSidecar } from "../src/sidecar.ts"
import { until, wait } from "./room-flock.ts"

/** Web Locks as browsers have them, for the tabs of this process: one holder a name, first come, first served. */
function createLocks() {
  const queues = new Map<string, (() => void)[]>()
  const held = new Set<string>()
  return {
    async request(
      name: string,
      { signal, ifAvailable = false }: { signal?: AbortSignal; ifAvailable?: boolean },
      work: (lock: object | null) => Promise<unknown>,
    ): Promise<unknown> {
      if (held.has(name) && ifAvailable) return work(null)
      if (held.has(name))
        await new Promise<void>((resolve, reject) => {
          queues.set(name, [...(queues.get(name) ?? []), resolve])
          signal?.addEventListener("abort", () => {
            queues.set(
              name,
              (queues.get(name) ?? []).filter((one) => one !== resolve),
            )
            reject(signal.reason)
          })
        })
      held.add(name)
      try {
        return await work({ name })
      } finally {
        const [next, ...rest] = queues.get(name) ?? []
        queues.set(name, rest)
        if (next === undefined) held.delete(name)
        else next()
      }
    },
  }
}

let server: SimplePeerSignalingServer
const before = Object.getOwnPropertyDescriptor(globalThis, "navigator")
beforeAll(async () => {
  // Only in dev mode does RxDB let one process open a database twice, and it wants a validator for that.
  disableWarnings()
  addRxPlugin(RxDBDevModePlugin)
  server = await startSignalingServerSimplePeer({ port: 0 })
  Object.defineProperty(globalThis, "navigator", { value: { locks: createLocks() }, configurable: true })
})
afterAll(async () => {
  if (before === undefined) Reflect.deleteProperty(globalThis, "navigator")
  else Object.defineProperty(globalThis, "navigator", before)
  await server.close()
})

const databases: RxDatabase[] = []
afterEach(async () => {
  for (const database of databases.splice(0)) await database.close()
})

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, text: { type: "string" } },
  required: ["id"],
} as const

const memory = wrappedValidateAjvStorage({ storage: getRxStorageMemory() })
/** Here tabs hear of each other by a channel, as in browsers. */
const indexed = wrappedValidateAjvStorage({ storage: getRxStorageDexie() }) as unknown as typeof memory

/** The same name is the same storage: another tab. */
async function tab(name: string, storage = memory): Promise<RxCollection> {
  const database = await createRxDatabase({
    name,
    storage,
    multiInstance: true,
    ignoreDuplicate: true,
  })
  databases.push(database)
  const { notes } = await database.addCollections({ notes: { schema } })
  return notes as RxCollection
}

const start = (collection: RxCollection) =>
  replicateWebRTC({
    collection,
    topic: "a-topic-of-several-tabs",
    connectionHandlerCreator: getConnectionHandlerSimplePeer({ signalingServerUrl: server.localUrl, wrtc }),
    pull: {},
    push: {},
    identity: memoryIdentity(),
  })

/** What a tab leaves that ends between a write and the event of it. */
function silence({ database }: RxCollection): void {
  const channel = BROADCAST_CHANNEL_BY_TOKEN.get(database.token)
  if (channel === undefined) throw new Error("no channel")
  channel.bc.postMessage = () => Promise.resolve()
}

/** The stored sync index. */
async function indexOf(collection: RxCollection): Promise<string | undefined> {
  const sidecar = await openSidecar(collection)
  const found = (await sidecar.get(["index"])).get("index")
  await sidecar.close()
  return found
}

describe("the tabs of one database", () => {
  test("what one stored as it died travels, and the sync index is stored again", async () => {
    const name = `tabs-${Date.now()}-c`
    const far = await tab(`far-${name}`)
    await start(far)
    const [first, second] = [await tab(name, indexed), await tab(name, indexed)]
    const holder = await start(first)
    await start(second)
    await first.insert({ id: "before", text: "1" })
    await until(async () => (await far.findOne("before").exec()) !== null, "the first document")

    silence(second)
    const told: unknown[] = []
    first.storageInstance.changeStream().subscribe((bulk) => told.push(bulk))
    await second.insert({ id: "orphan", text: "1" })
    await second.database.close()
    await until(async () => (await far.findOne("orphan").exec()) !== null, "what nobody was told of", 10_000)
    expect(told).toEqual([])

    const index = await indexOf(first)
    await first.insert({ id: "after", text: "1" })
    await until(async () => (await indexOf(first)) !== index, "the index to be stored", 20_000)
    expect(holder.handle()).not.toBeNull()
  })

  test("synced() waits for what one stored as it died", async () => {
    const name = `tabs-${Date.now()}-d`
    const far = await tab(`far-${name}`)
    await start(far)
    const [first, second] = [await tab(name, indexed), await tab(name, indexed)]
    const holder = await start(first)
    await holder.awaitFirstPeer()
    await holder.handle()?.synced()
    silence(second)
    await second.insert({ id: "orphan", text: "1" })
    await holder.handle()?.synced()
    expect(await far.findOne("orphan").exec()).not.toBeNull()
  })

  test("what another tab wrote is told once, whether an event or a look finds it first", async () => {
    const name = `tabs-${Date.now()}-e`
    const [first, second] = [await tab(name, indexed), await tab(name, indexed)]
    const holder = await start(first)
    const sent: string[] = []
    holder
      .handle()
      ?.traffic$.subscribe(({ documents }) => sent.push(...documents.map((one) => String(one["id"]))))
    const synced = (): Promise<unknown> | undefined =>
      holder
        .handle()
        ?.synced({ signal: AbortSignal.timeout(300) })
        .catch(() => undefined)
    for (let n = 0; n < 20; n++) {
      await second.insert({ id: `n${n}`, text: "1" })
      if (n % 2 === 0) await Promise.all([synced(), wait(n)])
    }
    await synced()
    await until(() => sent.length >= 20, "all of them")
    await wait(6_000)
    expect(sent.toSorted()).toEqual(Array.from({ length: 20 }, (_, n) => `n${n}`).toSorted())
  })

  test("one replicates, the others write and wait, and the next takes over", async () => {
    const name = `tabs-${Date.now()}`
    const far = await tab(`far-${Date.now()}`)
    await start(far)
    const [first, second] = [await tab(name), await tab(name)]
    const holder = await start(first)
    expect(holder.handle()).not.toBeNull()
    // It resolves although it replicates nothing yet.
    const follower = await start(second)
    expect(follower.handle()).toBeNull()
    expect(follower.peerStates$.getValue().size).toBe(0)

    await second.insert({ id: "x", text: "of the second tab" })
    await until(async () => (await far.findOne("x").exec()) !== null, "the document of the second tab")
    const [row] = await second.storageInstance.findDocumentsById(["x"], true)
    expect(row?._meta).toHaveProperty("dunlin")
    await far.upsert({ id: "x", text: "back" })
    await until(async () => (await second.findOne("x").exec(true)).get("text") === "back", "the answer")

    await first.database.close()
    await until(() => follower.handle() !== null, "the second tab to take over")
    await second.upsert({ id: "x", text: "again" })
    await until(async () => (await far.findOne("x").exec(true)).get("text") === "again", "its edit")
    expect(follower.handle()?.recentConflicts()).toEqual([])
  })

  test("one that waits can be canceled, and gives the lock to nobody", async () => {
    const name = `tabs-${Date.now()}-b`
    const [first, second, third] = [await tab(name), await tab(name), await tab(name)]
    await start(first)
    const waiting = await start(second)
    const patient = await start(third)
    await waiting.cancel()
    expect(waiting.canceled).toBe(true)
    await first.database.close()
    await until(() => patient.handle() !== null, "the third tab to take over")
    await wait(50)
    expect(waiting.handle()).toBeNull()
  })
})
