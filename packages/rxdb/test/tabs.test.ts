import { memoryIdentity } from "@dunlin/core"
import { startSignalingServerSimplePeer, type SimplePeerSignalingServer } from "@dunlin/host"
import * as wrtc from "node-datachannel/polyfill"
import { BROADCAST_CHANNEL_BY_TOKEN, type RxCollection, type RxConflictHandler } from "rxdb/plugins/core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import {
  getConnectionHandlerSimplePeer,
  replicateWebRTC,
  type RxdbHandle,
  rxdbReplica,
} from "../src/index.ts"
import { openSidecar } from "../src/sidecar.ts"
import { contents, noteSchema, settledAs, until, wait } from "./room-flock.ts"
import { indexed, inMemory, useTabs } from "./tab-flock.ts"

const { tab, createRooms } = useTabs()
let server: SimplePeerSignalingServer
beforeAll(async () => {
  server = await startSignalingServerSimplePeer({ port: 0 })
})
afterAll(() => server.close())

const start = (collection: RxCollection) =>
  replicateWebRTC({
    collection,
    topic: "a-topic-of-several-tabs",
    connectionHandlerCreator: getConnectionHandlerSimplePeer({ signalingServerUrl: server.localUrl, wrtc }),
    pull: {},
    push: {},
    identity: memoryIdentity(),
  })

/** Silences a tab, as if it ended between a write and the event of it. */
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
    const [first, second] = [await tab(name, { storage: indexed }), await tab(name, { storage: indexed })]
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
    const [first, second] = [await tab(name, { storage: indexed }), await tab(name, { storage: indexed })]
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
    const [first, second] = [await tab(name, { storage: indexed }), await tab(name, { storage: indexed })]
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
    // Resolves although it replicates nothing yet.
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

  test("one that stands by in a room takes another tab's word for its own room alone", async () => {
    const name = `tabs-${Date.now()}-f`
    const [openHere, openElsewhere] = [createRooms(), createRooms()]
    const far = await tab(`far-${name}`)
    await (await openHere()).replicate(rxdbReplica(far))
    const tabs = [await tab(name), await tab(name), await tab(name), await tab(name)] as const
    const holder = await (await openHere()).replicate(rxdbReplica(tabs[0]))
    const here = await (await openHere()).replicate(rxdbReplica(tabs[1]))
    const elsewhere = await (await openElsewhere()).replicate(rxdbReplica(tabs[2]))
    // What it sends the holder might keep, for all it is told.
    const otherwise = await (await openHere()).replicate(rxdbReplica(tabs[3], { direction: "send-only" }))
    expect([holder, here, elsewhere].map(({ standingBy }) => standingBy.get())).toEqual([false, true, true])
    await tabs[1].insert({ id: "x", text: "1" })
    await here.synced()
    expect(await far.findOne("x").exec()).not.toBeNull()
    for (const stranger of [elsewhere, otherwise])
      await expect(stranger.synced({ signal: AbortSignal.timeout(1_000) })).rejects.toMatchObject({
        name: "TimeoutError",
      })
    await otherwise.close()
    await holder.close()
    await until(() => !here.standingBy.get(), "the next tab to take over")
    await expect(holder.synced()).rejects.toMatchObject({ code: "replica-closed" })
    await here.close()
    await until(() => !elsewhere.standingBy.get(), "the last tab to take over")
  })

  test("one that leaves while it stands by can come back at once, before and behind others", async () => {
    const name = `tabs-${Date.now()}-g`
    const open = createRooms()
    const tabs = [await tab(name), await tab(name)] as const
    const [first, room] = [await open(), await open()]
    const holder = await first.replicate(rxdbReplica(tabs[0]))
    const standing = await room.replicate(rxdbReplica(tabs[1]))
    const pending = standing.synced().catch((error: unknown) => error)
    await standing.close()
    const again = await room.replicate(rxdbReplica(tabs[1]))
    expect(await pending).toMatchObject({ name: "ReplicaError", code: "replica-closed" })
    expect(again.standingBy.get()).toBe(true)
    // Closing the earlier handle again must not affect the new one.
    await standing.close()
    await holder.close()
    await until(() => !again.standingBy.get(), "the second tab to take over")
    const far = await tab(`far-${name}`)
    await (await open()).replicate(rxdbReplica(far))
    await tabs[1].insert({ id: "x", text: "1" })
    await again.synced()
    expect(await far.findOne("x").exec()).not.toBeNull()
    const back = await first.replicate(rxdbReplica(tabs[0]))
    expect(back.standingBy.get()).toBe(true)
    await again.close()
    await until(() => !back.standingBy.get(), "the first tab to take over again")
    await back.close()
    expect((await first.replicate(rxdbReplica(tabs[0]))).standingBy.get()).toBe(false)
  })

  test("one that closes at whatever moment of taking over leaves the collection free", async () => {
    const name = `tabs-${Date.now()}-h`
    const open = createRooms()
    const [first, room] = [await open(), await open()]
    for (let moment = 0; moment < 8; moment++) {
      const tabs = [await tab(name), await tab(name)] as const
      const holder = await first.replicate(rxdbReplica(tabs[0]))
      const standing = await room.replicate(rxdbReplica(tabs[1]))
      const pending = standing.synced().catch((error: unknown) => error)
      const leaving = holder.close()
      await wait(moment * 2)
      await tabs[1].database.close()
      await leaving
      // The first room counts as another device here, and may have been seen to hold as little: it only has to settle.
      await pending
      await tabs[0].database.close()
    }
    expect(
      room.diagnostics.recent().flatMap((one) => (one.type === "replica" ? [one.report.type] : [])),
    ).toEqual(Array.from({ length: 8 }, () => "standing-by"))
  })

  test("one that could not take over is not told that others hold what it has", async () => {
    const name = `tabs-${Date.now()}-i`
    const open = createRooms()
    const far = await tab(`far-${name}`)
    await (await open()).replicate(rxdbReplica(far))
    const tabs = [await tab(name), await tab(name)] as const
    const holder = await (await open()).replicate(rxdbReplica(tabs[0]))
    const room = await open()
    const replica = rxdbReplica(tabs[1])
    const heir = await room.replicate<RxdbHandle>({
      ...replica,
      attach: async (host, options) => ({
        ...(await replica.attach(host, options)),
        loadIndex: () => Promise.reject(new Error("the disk is gone")),
      }),
    })
    expect(heir.standingBy.get()).toBe(true)
    await holder.close()
    const told = () =>
      room.diagnostics.recent().flatMap((one) => (one.type === "replica" ? [one.report.reason] : []))
    await until(() => told().includes("this tab could not take over"), "the second tab to fail")
    await until(() => room.peers.get().length > 0, "another device")
    await tabs[1].insert({ id: "x", text: "1" })
    for (const { synced } of [heir, room])
      await expect(synced()).rejects.toMatchObject({ code: "replica-closed" })
    expect(await far.findOne("x").exec()).toBeNull()
  })

  test("a pool that could not take over says so and stays in no room", async () => {
    const name = `tabs-${Date.now()}-k`
    const [first, second] = [await tab(name), await tab(name)]
    const { others } = await second.database.addCollections({ others: { schema: noteSchema } })
    const holder = await start(first)
    const overRelay = (collection: RxCollection | undefined) =>
      replicateWebRTC({
        collection: collection as RxCollection,
        topic: "a-topic-over-no-relay",
        connectionHandlerCreator: noRelay,
        pull: {},
        push: {},
        identity: memoryIdentity(),
      })
    const noRelay = () => Promise.reject(new Error("no relay answers"))
    const heir = await overRelay(second)
    const told: string[] = []
    heir.error$.subscribe((error) => told.push(error.message))
    await holder.cancel()
    await until(() => told.includes("The replication did not start."), "the second tab to fail")
    // Otherwise it would find that room, and be in it without any connections.
    await expect(overRelay(others)).rejects.toThrow("no relay answers")
    await heir.cancel()
  })

  test("one that could not even begin to take over is waited for until it is closed", async () => {
    const name = `tabs-${Date.now()}-l`
    const open = createRooms()
    await (await open()).replicate(rxdbReplica(await tab(`far-${name}`)))
    const disk = { isGone: false }
    const dying: typeof inMemory = {
      ...inMemory,
      createStorageInstance: (parameters) =>
        disk.isGone && parameters.collectionName.startsWith("dunlin-")
          ? Promise.reject(new Error("the disk is gone"))
          : inMemory.createStorageInstance(parameters),
    }
    const tabs = [await tab(name), await tab(name, { storage: dying })] as const
    const holder = await (await open()).replicate(rxdbReplica(tabs[0]))
    const room = await open()
    const heir = await room.replicate(rxdbReplica(tabs[1]))
    disk.isGone = true
    await holder.close()
    await expect(heir.synced()).rejects.toThrow("the disk is gone")
    await until(() => room.peers.get().length > 0, "another device")
    await expect(room.synced()).rejects.toThrow("the disk is gone")
    disk.isGone = false
    const again = await room.replicate(rxdbReplica(tabs[1]))
    // The earlier handle of that name ends only itself.
    await heir.close()
    await tabs[1].insert({ id: "later", text: "1" })
    await again.synced({ signal: AbortSignal.timeout(10_000) })
    await room.synced()
  })

  test("a pool of a collection that a room of the same tab has is refused, as it would wait for itself", async () => {
    const name = `tabs-${Date.now()}-j`
    const open = createRooms()
    const tabs = [await tab(name), await tab(name)] as const
    for (const collection of tabs) {
      const handle = await (await open()).replicate(rxdbReplica(collection))
      expect(handle.standingBy.get()).toBe(collection === tabs[1])
      await expect(start(collection)).rejects.toMatchObject({ name: "DropInError", code: "in-use" })
    }
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

  test("one that stands by brings deleted documents back, and edits them at once, where deletions win", async () => {
    const name = `tabs-${Date.now()}-m`
    const open = createRooms()
    const conflictHandler: RxConflictHandler<unknown> = {
      isEqual: () => false,
      resolve: ({ realMasterState, newDocumentState }) =>
        Promise.resolve(realMasterState._deleted ? realMasterState : newDocumentState),
    }
    const creator = { conflictHandler }
    const far = await tab(`far-${name}`, { creator })
    await (await open()).replicate(rxdbReplica(far))
    const own = { storage: indexed, creator }
    const [first, second] = [await tab(name, own), await tab(name, own)]
    await (await open()).replicate(rxdbReplica(first))
    const standing = await (await open()).replicate(rxdbReplica(second))
    expect(standing.standingBy.get()).toBe(true)
    const ids = Array.from({ length: 50 }, (_, n) => `n${n}`)
    await second.bulkInsert(ids.map((id) => ({ id, text: "first" })))
    await until(async () => (await far.find().exec()).length === ids.length, "the documents")
    await far.bulkRemove(ids)
    await settledAs([second], {})
    // The other tab then finds both writes at once.
    silence(second)
    const back = async (id: string) => (await second.insert({ id, text: "again" })).patch({ text: "edited" })
    await Promise.all(ids.map(back))
    await standing.synced()
    const edited = Object.fromEntries(ids.map((id) => [id, { id, text: "edited" }]))
    for (const collection of [second, far]) expect(await contents(collection)).toEqual(edited)
  })
})
