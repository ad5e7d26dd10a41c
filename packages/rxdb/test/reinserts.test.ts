// Documents that come back over a deletion, where deletions win over edits that their authors had not seen.
import { addRxPlugin, type RxConflictHandler } from "rxdb/plugins/core"
import { RxDBCleanupPlugin } from "rxdb/plugins/cleanup"
import { beforeAll, describe, expect, test } from "vitest"
import { mergeFields, rxdbReplica } from "../src/index.ts"
import { type Bird, contents, noteSchema, settled, settledAs, until, useFlock, wait } from "./room-flock.ts"

const flock = useFlock()
beforeAll(() => addRxPlugin(RxDBCleanupPlugin))

const deletionsWin: RxConflictHandler<unknown> = {
  isEqual: () => false,
  resolve: ({ realMasterState, newDocumentState }) =>
    Promise.resolve(realMasterState._deleted ? realMasterState : newDocumentState),
}
const schema = { ...noteSchema, properties: { ...noteSchema.properties, due: {} } }

const remove = async ({ collection }: Pick<Bird, "collection">): Promise<void> => {
  await (await collection.findOne("x").exec(true)).remove()
}

describe.each(Object.entries({ "mergeFields()": mergeFields(), "a handler of its own": deletionsWin }))(
  "with %s",
  (_, conflictHandler) => {
    const join = () => flock.join({ creator: { schema, conflictHandler } })
    /** A document that both have written, and that `b` has deleted. */
    const deleted = async () => {
      const [a, b] = [await join(), await join()]
      await b.collection.insert({ id: "x", text: "of b" })
      await settled([a, b])
      await (await a.collection.findOne("x").exec(true)).patch({ text: "of a" })
      await settled([a, b])
      await remove(b)
      await settledAs([a.collection], {})
      return { a, b }
    }

    test("one that its author had written before comes back with an edit that follows at once", async () => {
      const { a, b } = await deleted()
      await a.handle.close()
      await (await a.collection.insert({ id: "x", text: "again" })).patch({ text: "edited" })
      await a.room.replicate(rxdbReplica(a.collection))
      await settledAs([a.collection, b.collection], { x: { id: "x", text: "edited" } })
    })

    test("one that could not be shared when it came back comes back with the edit that repairs it", async () => {
      const { a, b } = await deleted()
      await (await a.collection.insert({ id: "x", due: Number.NaN })).patch({ due: 1 })
      await settledAs([a.collection, b.collection], { x: { id: "x", due: 1 } })
      await remove(b)
      await settledAs([a.collection], {})
      const again = await a.collection.insert({ id: "x", due: Number.NaN })
      await until(() => a.handle.setAside.get().has("x"), "the insert to be set aside")
      await again.patch({ due: 2 })
      await settledAs([a.collection, b.collection], { x: { id: "x", due: 2 } })
    })

    test("one whose tombstone was purged comes back", async () => {
      const { a, b } = await deleted()
      // RxDB purges what is older than the millisecond of the cleanup.
      await wait(5)
      await a.collection.cleanup(0)
      await a.collection.insert({ id: "x", text: "again" })
      await settledAs([a.collection, b.collection], { x: { id: "x", text: "again" } })
    })

    test("one that its author had deleted before comes back over another's deletion", async () => {
      const { a, b } = await deleted()
      await a.collection.insert({ id: "x", text: "of a" })
      await settled([a, b])
      await remove(a)
      await settledAs([b.collection], {})
      await b.collection.insert({ id: "x", text: "of b" })
      await settled([a, b])
      expect(Object.keys(await contents(a.collection))).toEqual(["x"])
      await remove(b)
      await settledAs([a.collection], {})
      await a.collection.insert({ id: "x", text: "again" })
      await a.handle.synced()
      await settledAs([a.collection, b.collection], { x: { id: "x", text: "again" } })
    })
  },
)
