import type { ReplicaReport } from "@dunlin/core"
import type { RxStorage } from "rxdb/plugins/core"
import { describe, expect, test } from "vitest"
import { contents, memory, settled, until, useFlock } from "./room-flock.ts"

const flock = useFlock()

const keys = Array.from({ length: 300 }, (_, n) => `n${n}`)

describe("synced()", () => {
  test("covers every write that was complete before it, however busy the replica is", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    await b.collection.insert({ id: "of-b", text: "from the other side" })
    await a.collection.bulkInsert(keys.map((id) => ({ id, text: "first" })))
    await settled([a, b])
    // Removals go through the queue, and so does everything written while it works.
    await a.collection.bulkRemove(keys.slice(0, 100))
    await a.collection.bulkUpsert(keys.slice(100, 200).map((id) => ({ id, text: "second" })))
    await a.collection.insert({ id: "last", text: "last" })
    await a.collection.bulkRemove(keys.slice(200, 220))
    await a.room.synced()
    await a.room.close()
    const there = await contents(b.collection)
    expect(Object.keys(there)).toHaveLength(300 - 120 + 2)
    expect(there).toMatchObject({ last: { text: "last" }, n150: { text: "second" } })
  })

  test("with writes that cross those of the other side", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    await a.collection.bulkInsert(keys.map((id) => ({ id, text: "start" })))
    await settled([a, b])
    for (let round = 0; round < 5; round++) {
      const crossing = b.collection.bulkUpsert(keys.slice(0, 50).map((id) => ({ id, text: `b${round}` })))
      await a.collection.bulkUpsert(keys.slice(50, 100).map((id) => ({ id, text: `a${round}` })))
      await a.collection.bulkRemove([`n${299 - round}`])
      await a.handle.synced()
      const there = await contents(b.collection)
      expect(there).toMatchObject({ n70: { text: `a${round}` } })
      expect(there).not.toHaveProperty(`n${299 - round}`)
      await crossing
    }
  })

  test("rejects while a write cannot be kept, and the write is passed on once it can", async () => {
    const disk = { full: false }
    const [a, b] = [await flock.join({ storage: failingSidecar(disk) }), await flock.join()]
    const reports: ReplicaReport[] = []
    a.handle.error$.subscribe((report) => reports.push(report))
    await a.collection.bulkInsert([
      { id: "x", text: "start" },
      { id: "y", text: "start" },
    ])
    await settled([a, b])
    disk.full = true
    await (await a.collection.findOne("x").exec(true)).remove()
    await expect(a.handle.synced()).rejects.toThrow("the disk is full")
    expect(reports).toContainEqual(expect.objectContaining({ type: "warning" }))
    expect(await contents(b.collection)).toHaveProperty("x")
    // A document that needs no record beside its row is not held up.
    await b.collection.insert({ id: "z", text: "of b" })
    await until(async () => (await a.collection.findOne("z").exec()) !== null, "the document of b")
    disk.full = false
    await until(async () => (await b.collection.findOne("x").exec()) === null, "the removal")
    await a.handle.synced()
  })
})

/** While the disk is full, it stores rows but refuses what this package notes beside them. */
function failingSidecar(disk: { readonly full: boolean }): RxStorage<unknown, unknown> {
  const inner = memory()
  return {
    ...inner,
    async createStorageInstance(parameters) {
      const instance = await inner.createStorageInstance(parameters)
      if (!parameters.collectionName.startsWith("dunlin-")) return instance
      const bulkWrite = instance.bulkWrite.bind(instance)
      instance.bulkWrite = (rows, context) =>
        disk.full ? Promise.reject(new Error("the disk is full")) : bulkWrite(rows, context)
      return instance
    },
  }
}
