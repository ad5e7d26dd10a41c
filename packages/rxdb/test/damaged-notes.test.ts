// What is noted beside the rows, damaged by a disk or a tool.
import type { ReplicaReport } from "@dunlin/core"
import type { RxStorage } from "rxdb/plugins/core"
import { describe, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { openSidecar } from "../src/sidecar.ts"
import {
  type Bird,
  contents,
  dexie,
  memory,
  noteSchema,
  settled,
  settledAs,
  until,
  useFlock,
} from "./room-flock.ts"

const flock = useFlock()

const storages = {
  memory,
  Dexie: dexie,
}
/** With attachments, what is on the shelf is noted as well. */
const creator = { schema: { ...noteSchema, attachments: {} } }
const notes = ["meta", "journal", "aside-0", "index", "shelf", "database"]
const damages = ["", "{", '{"storeId":1}']

/** A conflict, a deletion and a plain document, all known to both. */
async function pair(storage: RxStorage<unknown, unknown>): Promise<readonly [Bird, Bird]> {
  const [a, b] = [await flock.join({ storage, creator }), await flock.join({ creator })]
  await a.collection.bulkInsert(["x", "y", "z"].map((id) => ({ id, text: "start" })))
  await settled([a, b])
  await Promise.all([a, b].map(({ collection }, n) => collection.upsert({ id: "x", text: `edit ${n}` })))
  await (await a.collection.findOne("y").exec(true)).remove()
  await settled([a, b])
  await a.handle.synced()
  return [a, b]
}

/** Replaces notes beside the rows of a collection that no room has. */
async function damage({ collection }: Bird, ids: readonly string[], text: string): Promise<void> {
  const sidecar = await openSidecar(collection)
  await sidecar.put(new Map(ids.map((id) => [id, text])))
  await sidecar.close()
}

describe.each(Object.entries(storages))("in %s", (_, storage) => {
  test.each(notes)("a damaged note costs time, and nothing is lost: %s", async (note) => {
    const [a, b] = await pair(storage())
    const before = await contents(a.collection)
    for (const text of damages) {
      await a.handle.close()
      await damage(a, [note], text)
      const handle = await a.room.replicate(rxdbReplica(a.collection))
      await handle.synced()
      await handle.close()
      const sidecar = await openSidecar(a.collection)
      // The concurrent writes of "x", and the deletion of "y".
      expect([...(await sidecar.get(["d|x", "d|y"])).keys()].toSorted()).toEqual(["d|x", "d|y"])
      await sidecar.close()
    }
    const handle = await a.room.replicate(rxdbReplica(a.collection))
    await b.room.close()
    const c = await flock.join({
      creator,
      before: (collection) => collection.insert({ id: "own", text: "of c" }),
    })
    await settledAs([a.collection, c.collection], { ...before, own: { id: "own", text: "of c" } })
    await handle.synced()
  })

  test("a report says that all documents are read again", async () => {
    const [a] = await pair(storage())
    await a.handle.close()
    await damage(a, ["meta"], "{")
    const reports: ReplicaReport[] = []
    a.room.diagnostics.subscribe((one) => {
      if (one.type === "replica") reports.push(one.report)
    })
    await a.room.replicate(rxdbReplica(a.collection))
    await until(() => reports.length > 0, "the report")
    expect(reports[0]).toMatchObject({
      type: "warning",
      reason: expect.stringContaining("damaged") as string,
    })
  })
})

test("a storage that fails says so in words of this package, and works once it is well again", async () => {
  const inner = memory()
  let isGone = true
  const storage: RxStorage<unknown, unknown> = {
    ...inner,
    async createStorageInstance(parameters) {
      if (isGone && parameters.collectionName.startsWith("dunlin-")) throw new Error("the disk is gone")
      return inner.createStorageInstance(parameters)
    },
  }
  const { collection } = await flock.openDatabase({ storage })
  const room = await flock.openRoom()
  await expect(room.replicate(rxdbReplica(collection))).rejects.toMatchObject({
    name: "ReplicaError",
    code: "storage-failed",
    message: expect.stringContaining("the disk is gone") as string,
    cause: expect.objectContaining({ message: "the disk is gone" }) as Error,
  })
  isGone = false
  await (await room.replicate(rxdbReplica(collection))).close()
})
