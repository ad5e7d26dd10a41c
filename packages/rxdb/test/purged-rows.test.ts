// RxDB's cleanup purges the rows of deleted documents without asking. Then only the sidecar knows of the deletion.
import { addRxPlugin, type RxCollection } from "rxdb/plugins/core"
import { RxDBCleanupPlugin } from "rxdb/plugins/cleanup"
import { beforeAll, describe, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import {
  type Bird,
  contents,
  dexie,
  freshName,
  noteSchema,
  settled,
  until,
  useFlock,
  wait,
} from "./room-flock.ts"

beforeAll(() => addRxPlugin(RxDBCleanupPlugin))

const flock = useFlock()

/** A modifier that fails for deletions, until the next version of the application. */
function buggyModifier(fail: () => unknown) {
  let isFixed = false
  return {
    modifier: (document: Record<string, unknown>): unknown =>
      !isFixed && document["_deleted"] === true ? fail() : document,
    fix: () => void (isFixed = true),
  }
}

const throws = (): never => {
  throw new Error("a bug")
}
const neverAnswers = (): Promise<never> => new Promise(() => {})

const remove = async ({ collection }: Pick<Bird, "collection">): Promise<void> => {
  await (await collection.findOne("x").exec(true)).remove()
}

/** What a cleanup leaves of the row. */
const purge = async (collection: RxCollection): Promise<void> => {
  // RxDB purges what is older than the millisecond of the cleanup.
  await wait(5)
  await collection.cleanup(0)
  expect(await collection.storageInstance.findDocumentsById(["x"], true)).toEqual([])
}

describe.each(Object.entries({ throws, "does not answer": neverAnswers }))(
  "a deletion for which push.modifier %s",
  (_, fail) => {
    const purged = async () => {
      const push = buggyModifier(fail)
      const own = { storage: dexie(), name: freshName(), replica: { push } }
      const a = await flock.join(own)
      const b = await flock.join()
      await b.collection.insert({ id: "x", text: "start" })
      await settled([a, b])
      await remove(a)
      await until(() => a.handle.setAside.get().has("x"), "the deletion to be set aside")
      await purge(a.collection)
      return { a, b, push, own }
    }

    test("is not undone by what a peer writes, and merges with it once it can be shared", async () => {
      const { a, b, push } = await purged()
      await (await b.collection.findOne("x").exec(true)).patch({ done: true })
      await b.collection.insert({ id: "later", text: "of b" })
      await until(async () => "later" in (await contents(a.collection)), "what came after the edit of b")
      expect(Object.keys(await contents(a.collection))).toEqual(["later"])
      expect([...a.handle.setAside.get().keys()]).toEqual(["x"])
      await a.room.close()
      push.fix()
      const room = await flock.openRoom()
      const handle = await room.replicate(rxdbReplica(a.collection, { push }))
      await handle.synced()
      // The edit was made without knowing of the deletion, and is the later write.
      expect(await settled([a, b])).toEqual({
        later: { id: "later", text: "of b" },
        x: { id: "x", text: "start", done: true },
      })
    })

    test("is shared by the next start once the modifier is repaired", async () => {
      const { a, b, push, own } = await purged()
      await a.room.close()
      await a.database.close()
      push.fix()
      const back = await flock.join(own)
      await back.handle.synced()
      expect(await settled([back, b])).toEqual({})
      expect(back.handle.setAside.get().size).toBe(0)
    })

    test("is over once there is a new document of the same key", async () => {
      const { a, b } = await purged()
      await a.collection.insert({ id: "x", text: "again" })
      expect(await settled([a, b])).toEqual({ x: { id: "x", text: "again" } })
      expect(a.handle.setAside.get().size).toBe(0)
    })
  },
)

type Version = { readonly _deleted?: boolean }

/** Whoever deletes prevails, so that a document comes back only where its author is known to have seen the deletion. */
const creator = {
  schema: noteSchema,
  conflictHandler: {
    isEqual: () => false,
    resolve: (input: { readonly realMasterState: Version; readonly newDocumentState: Version }) =>
      Promise.resolve(
        (input.realMasterState._deleted === true ? input.realMasterState : input.newDocumentState) as never,
      ),
  },
}

describe.each(
  Object.entries({ "": {}, ", with push.modifier": { push: { modifier: (one: unknown) => one } } }),
)("a document that comes back after the cleanup%s", (_, replica) => {
  const purged = async (remover: "a" | "b") => {
    const own = { storage: dexie(), name: freshName(), creator, replica }
    const birds = { a: await flock.join(own), b: await flock.join({ creator }) }
    const { a, b } = birds
    await a.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    await remove(birds[remover])
    expect(await settled([a, b])).toEqual({})
    await purge(a.collection)
    return { ...birds, own }
  }
  const restarted = async ({ room, database }: Bird, own: Parameters<typeof flock.join>[0]) => {
    await room.close()
    await database.close()
    return flock.join(own)
  }

  test.each(["a", "b"] as const)("is not deleted again after a restart, when %s deleted it", async (who) => {
    const { a, b, own } = await purged(who)
    const back = await restarted(a, own)
    await back.collection.insert({ id: "x", text: "again" })
    expect(await settled([back, b])).toEqual({ x: { id: "x", text: "again" } })
  })

  test.each([true, false])(
    "nor when it was edited before the room was opened (purged: %s)",
    async (isPurged) => {
      const own = { storage: dexie(), name: freshName(), creator, replica }
      const [a, b] = [await flock.join(own), await flock.join({ creator })]
      await b.collection.insert({ id: "x", text: "start" })
      await settled([a, b])
      await remove(b)
      await settled([a, b])
      if (isPurged) await purge(a.collection)
      await a.room.close()
      await a.database.close()
      const { collection } = await flock.openDatabase(own)
      const shared = rxdbReplica(collection, replica)
      const document = await collection.insert({ id: "x", text: "again" })
      await document.patch({ done: true })
      const handle = await (await flock.openRoom()).replicate(shared)
      await handle.synced()
      const again = { x: { id: "x", text: "again", done: true } }
      expect([await contents(collection), await contents(b.collection)]).toEqual([again, again])
    },
  )

  test("is shared, although its revision may be that of the purged row", async () => {
    const { a, b } = await purged("a")
    await a.room.close()
    const document = await a.collection.insert({ id: "x", text: "again" })
    await document.patch({ done: true })
    await (await flock.openRoom()).replicate(rxdbReplica(a.collection, replica))
    expect(await settled([a, b])).toEqual({ x: { id: "x", text: "again", done: true } })
  })
})
