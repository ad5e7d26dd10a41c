import { memoryIdentity } from "@dunlin/core"
import { startSignalingServerSimplePeer, type SimplePeerSignalingServer } from "@dunlin/host"
import * as wrtc from "node-datachannel/polyfill"
import { addRxPlugin, createRxDatabase, type RxCollection, type RxDatabase } from "rxdb/plugins/core"
import { disableWarnings, RxDBDevModePlugin } from "rxdb/plugins/dev-mode"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { getConnectionHandlerSimplePeer, replicateWebRTC } from "../src/index.ts"
import { until, wait } from "./room-flock.ts"

/** Web Locks as browsers have them, for the tabs of this process: one holder a name, first come, first served. */
function createLocks() {
  const queues = new Map<string, (() => void)[]>()
  const held = new Set<string>()
  return {
    query: () => Promise.resolve({ held: [...held].map((name) => ({ name })), pending: [] }),
    async request(
      name: string,
      { signal }: { signal?: AbortSignal },
      work: () => Promise<void>,
    ): Promise<void> {
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
        await work()
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

const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() })

/** The same name is the same storage: another tab. */
async function tab(name: string): Promise<RxCollection> {
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

describe("the tabs of one database", () => {
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
