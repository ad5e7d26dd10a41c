import { createRxDatabase, now, type RxDatabase } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { createSimulatedTime } from "@dunlin/core/testing"
import { OVERLAP_MS } from "./collection-cursor.ts"
import { type DocumentData, documentShape, type Row } from "./document-shape.ts"
import { watchUnheardRows } from "./unheard-rows.ts"

beforeEach(() => vi.stubGlobal("navigator", { locks: {} }))
afterEach(() => vi.unstubAllGlobals())

const databases: RxDatabase[] = []
afterEach(async () => {
  for (const database of databases.splice(0)) await database.close()
})

let names = 0
async function watched() {
  const database = await createRxDatabase({ name: `unheard-${names++}`, storage: getRxStorageMemory() })
  databases.push(database)
  const { notes } = await database.addCollections({
    notes: {
      schema: {
        version: 0,
        primaryKey: "id",
        type: "object",
        properties: { id: { type: "string", maxLength: 40 } },
        required: ["id"],
      },
    },
  })
  const instance = notes.storageInstance.originalStorageInstance
  const time = createSimulatedTime()
  const found: string[] = []
  const failures: unknown[] = []
  const rows = watchUnheardRows({
    collection: notes,
    shape: documentShape(notes),
    clock: time.clock(),
    found: (some) => found.push(...some.map((row) => `${String(row["id"])} ${row._rev}`)),
    failed: (cause) => failures.push(cause),
  })
  return {
    time,
    found,
    failures,
    instance,
    ...rows,
    async write(id: string, token = "othertab", previous?: Row): Promise<Row> {
      const height = previous === undefined ? 1 : 2
      const document = {
        id,
        _deleted: false,
        _attachments: {},
        _meta: { lwt: now() },
        _rev: `${height}-${token === "own" ? database.token : token}`,
      } as DocumentData as Row
      await instance.bulkWrite([{ document, ...(previous === undefined ? {} : { previous }) }], "test")
      return document
    },
  }
}

test("a row of another tab that no event told of is found once, and again when it changes", async () => {
  const one = await watched()
  await one.write("early")
  await one.look()
  expect(one.found).toEqual([])
  one.scannedUpTo(undefined, 0)
  const row = await one.write("x")
  await one.write("mine", "own")
  await Promise.all([one.look(), one.look()])
  await one.look()
  expect(one.found).toEqual(["early 1-othertab", "x 1-othertab"])
  expect(one.unknownOf([{ documentData: row }])).toEqual([])
  await one.write("x", "othertab", row)
  await one.look()
  expect(one.found.slice(2)).toEqual(["x 2-othertab"])
  await one.stop()
  expect(one.time.pending).toBe(0)
})

test("what events and scans gave is not found", async () => {
  const one = await watched()
  one.scannedUpTo(undefined, 0)
  const [told, scanned] = [await one.write("told"), await one.write("scanned")]
  expect(one.unknownOf([{ documentData: told }])).toHaveLength(1)
  one.scanned([scanned], now())
  one.scannedUpTo(undefined, now() - OVERLAP_MS)
  await one.look()
  expect(one.found).toEqual([])
  await one.stop()
})

test("it is looked for every five seconds; amid many writes when they pause, and after a minute", async () => {
  const one = await watched()
  one.scannedUpTo(undefined, 0)
  const own = await one.write("mine", "own")
  const many = Array.from({ length: 5_000 }, () => ({ documentData: own }))
  const pass = async (ms: number): Promise<void> => {
    await one.time.runFor(ms)
    await vi.waitFor(() => expect(one.time.pending).toBe(1))
  }
  await one.write("first")
  await pass(5_000)
  expect(one.found).toHaveLength(1)

  await one.write("second")
  for (let tick = 0; tick < 3; tick++) {
    one.unknownOf(many)
    await pass(5_000)
  }
  expect(one.found).toHaveLength(1)
  await pass(5_000)
  expect(one.found).toHaveLength(2)

  await one.write("third")
  for (let tick = 0; tick < 12; tick++) {
    expect(one.found).toHaveLength(2)
    one.unknownOf(many)
    await pass(5_000)
  }
  expect(one.found).toHaveLength(3)
  await one.stop()
})

test("a storage that fails is told, and tried again", async () => {
  const one = await watched()
  one.scannedUpTo(undefined, 0)
  await one.write("x")
  const gone = new Error("the disk is gone")
  const reads = vi.spyOn(one.instance, "query").mockRejectedValueOnce(gone).mockRejectedValueOnce(gone)
  await one.time.runFor(5_000)
  await vi.waitFor(() => expect(one.failures).toHaveLength(1))
  await vi.waitFor(() => expect(one.time.pending).toBe(1))
  await one.time.runFor(5_000)
  await vi.waitFor(() => expect(one.found).toEqual(["x 1-othertab"]))
  expect(reads.mock.calls.length).toBeGreaterThan(2)
  await one.stop()
})

test("a look that takes long is followed by a longer rest", async () => {
  const one = await watched()
  one.scannedUpTo(undefined, 0)
  let looks = 0
  vi.spyOn(one.instance, "query").mockImplementation(async () => {
    looks++
    await new Promise<void>((resolve) => one.time.schedule(2_000, resolve))
    return { documents: [] }
  })
  await one.time.runFor(100_000)
  expect(looks).toBeGreaterThan(1)
  expect(looks).toBeLessThan(5)
  await one.stop()
})

test("a look whose read fails once reads again, and rejects when that fails too", async () => {
  const one = await watched()
  one.scannedUpTo(undefined, 0)
  await one.write("x")
  const query = vi.spyOn(one.instance, "query")
  query.mockRejectedValueOnce(new Error("a bad moment"))
  await one.look()
  expect(one.found).toEqual(["x 1-othertab"])
  query.mockRejectedValue(new Error("a broken disk"))
  await expect(one.look()).rejects.toThrow("a broken disk")
  await one.stop()
})
