import { createRxDatabase } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { expect, test } from "vitest"
import type { Row } from "./document-shape.ts"
import { stamperOf } from "./stamper.ts"

test("a row of the last write has its state at hand, and no other row has", async () => {
  const database = await createRxDatabase({
    name: `stamper-${Math.random()}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  const { notes } = await database.addCollections({
    notes: {
      schema: {
        version: 0,
        primaryKey: "id",
        type: "object",
        properties: { id: { type: "string", maxLength: 20 }, text: { type: "string" } },
        required: ["id"],
      },
    },
  })
  if (notes === undefined) throw new Error("no collection")
  const stamper = stamperOf(notes, { mergesFields: false, hasPushModifier: false })
  const rowOf = async (id: string): Promise<Row> => {
    const [row] = await notes.storageInstance.findDocumentsById([id], true)
    return row as Row
  }
  try {
    await notes.insert({ id: "first", text: "one" })
    const first = await rowOf("first")
    expect(stamper.justWritten(first)?.siblings).toMatchObject([{ payload: { text: "one" }, deleted: false }])
    // A write that bypasses the hook keeps the previous stamp.
    expect(stamper.justWritten({ ...first, text: "two", _rev: "2-else" })).toBeNull()
    expect(stamper.justWritten({ ...first, _meta: structuredClone(first._meta) })).toBeNull()
    await notes.insert({ id: "second", text: "one" })
    expect([stamper.justWritten(first), stamper.justWritten(await rowOf("second"))]).toMatchObject([
      null,
      { siblings: [{ payload: { text: "one" } }] },
    ])
    await notes.bulkInsert(Array.from({ length: 300 }, (_, n) => ({ id: `many-${n}`, text: "" })))
    expect(stamper.justWritten(await rowOf("many-299"))).toBeNull()
  } finally {
    await database.remove()
  }
})
