import { createHash, randomBytes } from "node:crypto"
import type { Clock } from "@dunlin/core"
import { addRxPlugin, createRxDatabase, type RxDatabase } from "rxdb/plugins/core"
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { type AttachmentProgress, attachmentShelf } from "./attachment-shelf.ts"
import { collectionRows } from "./collection-rows.ts"
import { documentShape } from "./document-shape.ts"
import { MAX_SHELF_AGE_MS } from "./shelf-ledger.ts"
import { openSidecar } from "./sidecar.ts"

beforeAll(() => addRxPlugin(RxDBAttachmentsPlugin))

const databases: RxDatabase[] = []
afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.close()))
})

const CHUNK = 65_536
const blobOf = (bytes: Uint8Array, size = bytes.length) => ({
  digest: new Uint8Array(createHash("sha256").update(bytes).digest()),
  size,
})
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

async function shelf() {
  const database = await createRxDatabase({
    name: `shelf-${hex(randomBytes(6))}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  databases.push(database)
  const { files } = await database.addCollections({
    files: {
      schema: {
        version: 0,
        primaryKey: "id",
        type: "object",
        properties: { id: { type: "string", maxLength: 40 } },
        required: ["id"],
        attachments: {},
      },
    },
  })
  let now = 1_000_000
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} }
  const sidecar = await openSidecar(files)
  const progress: AttachmentProgress[] = []
  const told = (one: AttachmentProgress): void => void progress.push(one)
  const shape = documentShape(files)
  const rows = collectionRows(files, shape)
  return {
    collection: files,
    sidecar,
    clock,
    progress,
    ...attachmentShelf(shape.attachments, rows, sidecar, clock, told),
    reopened: () => attachmentShelf(shape.attachments, rows, sidecar, clock, told),
    pass: (ms: number) => void (now += ms),
    row: async (key: string) => (await rows.find([key])).get(key),
  }
}

describe("the shelf of attachments", () => {
  test("takes chunks in any order, and a transfer up again where it ended", async () => {
    const one = await shelf()
    const bytes = randomBytes(3 * CHUNK + 5)
    const blob = blobOf(bytes)
    expect(await one.blobs.write("x", blob, 3, bytes.subarray(3 * CHUNK))).toBe("stored")
    expect(await one.blobs.write("x", blob, 0, bytes.subarray(0, CHUNK))).toBe("stored")
    const again = one.reopened()
    expect(await again.blobs.missing("x", blob)).toEqual([1, 2])
    expect(await again.blobs.write("x", blob, 1, bytes.subarray(CHUNK, 2 * CHUNK))).toBe("stored")
    expect(await again.blobs.write("x", blob, 2, bytes.subarray(2 * CHUNK, 3 * CHUNK))).toBe("complete")
    expect(await again.blobs.missing("x", blob)).toEqual([])
    expect(one.progress.map(({ receivedBytes }) => receivedBytes)).toEqual([
      5,
      CHUNK + 5,
      2 * CHUNK + 5,
      3 * CHUNK + 5,
    ])
    expect(one.progress.at(-1)).toMatchObject({ key: "x", totalBytes: 3 * CHUNK + 5 })
    expect(Buffer.from((await again.blobs.read("x", blob.digest, 1)) ?? [])).toEqual(
      bytes.subarray(CHUNK, 2 * CHUNK),
    )
  })

  test("a lie about a length touches nothing of the blob it lies about", async () => {
    const one = await shelf()
    const bytes = randomBytes(2 * CHUNK)
    const blob = blobOf(bytes)
    const lie = { ...blob, size: CHUNK }
    await one.blobs.write("x", blob, 0, bytes.subarray(0, CHUNK))
    expect(await one.blobs.write("x", lie, 0, randomBytes(CHUNK))).toBe("corrupt")
    expect(await one.blobs.missing("x", blob)).toEqual([1])
    expect(await one.blobs.write("x", blob, 1, bytes.subarray(CHUNK))).toBe("complete")
    expect(await one.blobs.write("x", lie, 0, randomBytes(CHUNK))).toBe("corrupt")
    expect(await one.blobs.missing("x", blob)).toEqual([])

    const digest = hex(blob.digest)
    const look = (length: number) =>
      one.look("x", undefined, [{ digest, length, type: "application/octet-stream" }])
    expect(await look(2 * CHUNK)).toEqual({ type: "lacking", blobs: [] })
    expect(await look(CHUNK)).toEqual({ type: "wrong-length", digest })
    expect(await look(0)).toEqual({ type: "wrong-length", digest })
  })

  test("a lie about the length of what the row holds is found out, and so is an empty one", async () => {
    const one = await shelf()
    const document = await one.collection.insert({ id: "x" })
    const bytes = randomBytes(1000)
    await document.putAttachment({ id: "file", data: new Blob([bytes]), type: "text/plain" })
    const digest = hex(blobOf(bytes).digest)
    const row = await one.row("x")
    expect(await one.look("x", row, [{ digest, length: 1000, type: "" }])).toEqual({
      type: "lacking",
      blobs: [],
    })
    expect(await one.look("x", row, [{ digest, length: 999, type: "" }])).toMatchObject({
      type: "wrong-length",
    })
    const empty = hex(blobOf(new Uint8Array()).digest)
    expect(await one.look("y", undefined, [{ digest: empty, length: 0, type: "" }])).toMatchObject({
      type: "lacking",
    })
    expect(await one.look("y", undefined, [{ digest: empty, length: 7, type: "" }])).toMatchObject({
      type: "wrong-length",
    })
    expect(await one.look("y", undefined, [{ digest, length: 0, type: "" }])).toMatchObject({
      type: "wrong-length",
    })
  })

  test("what was whole before the process ended is looked at before it is used", async () => {
    const one = await shelf()
    const [good, bad] = [randomBytes(10), randomBytes(10)]
    for (const [bytes, stored] of [
      [good, good],
      [bad, randomBytes(10)],
    ] as const) {
      const digest = hex(blobOf(bytes).digest)
      await one.sidecar.put(
        new Map([
          [`b|x|${digest}|10|0`, stored.toString("base64")],
          [`p|x|${digest}|10`, "[0]"],
        ]),
      )
    }
    expect(await one.blobs.missing("x", blobOf(good))).toEqual([])
    expect(await one.blobs.missing("x", blobOf(bad))).toEqual([0])
  })

  test("frees what never got its document within a week, and nothing that has one", async () => {
    const one = await shelf()
    const write = async (key: string, bytes: Buffer, index = 0) =>
      one.blobs.write(key, blobOf(bytes), index, bytes.subarray(index * CHUNK, (index + 1) * CHUNK))
    const [partial, kept, waiting] = [randomBytes(3 * CHUNK), randomBytes(100), randomBytes(100)]
    await write("partial", partial)
    await write("kept", kept)
    await one.keep("kept", [hex(blobOf(kept).digest)])
    one.pass(MAX_SHELF_AGE_MS - 10)
    await write("waiting", waiting)
    one.pass(20)
    await one.reopened().sweep()
    expect(await one.blobs.missing("partial", blobOf(partial))).toEqual([0, 1, 2])
    expect(await one.blobs.missing("kept", blobOf(kept))).toEqual([])
    expect(await one.blobs.missing("waiting", blobOf(waiting))).toEqual([])
  })

  test("frees what its row has already, where the process ended before that was noted", async () => {
    const one = await shelf()
    const [partial, whole] = [randomBytes(2 * CHUNK), randomBytes(100)]
    const document = await one.collection.insert({ id: "x" })
    await one.blobs.write("x", blobOf(partial), 0, partial.subarray(0, CHUNK))
    await one.blobs.write("x", blobOf(whole), 0, whole)
    await one.blobs.write("y", blobOf(whole), 0, whole)
    for (const [id, bytes] of Object.entries({ partial, whole }))
      await document.putAttachment({ id, data: new Blob([bytes]), type: "text/plain" })
    await one.reopened().sweep()
    const { ids } = await one.sidecar.changedSince(null, 100)
    const left = [...(await one.sidecar.get(ids)).keys()].filter((id) => id.includes("|"))
    expect(left.filter((id) => !id.includes("|y|"))).toEqual([])
    expect(left).toHaveLength(2)
    expect(await one.blobs.missing("y", blobOf(whole))).toEqual([])
  })

  test("reads each attachment once for peers that fetch several by turns", async () => {
    const one = await shelf()
    const files = [randomBytes(3 * CHUNK), randomBytes(3 * CHUNK)]
    for (const [at, bytes] of files.entries()) {
      const document = await one.collection.insert({ id: `k${at}` })
      await document.putAttachment({ id: "file", data: new Blob([bytes]), type: "text/plain" })
    }
    const reads = vi.spyOn(one.collection.storageInstance.originalStorageInstance, "getAttachmentData")
    for (let index = 0; index < 3; index++)
      for (const [at, bytes] of files.entries()) {
        const chunk = await one.blobs.read(`k${at}`, blobOf(bytes).digest, index)
        expect(bytes.subarray(index * CHUNK, (index + 1) * CHUNK).equals(chunk ?? Buffer.alloc(0))).toBe(true)
      }
    expect(reads).toHaveBeenCalledTimes(2)
  })

  test("says what a document lacks that is to be written, so that it can be asked for", async () => {
    const one = await shelf()
    const { digest } = blobOf(Buffer.from("given up"))
    const stubs = { file: { digest: hex(digest), length: 8, type: "text/plain" } }
    expect(await one.writesFor("x", undefined, stubs)).toEqual({ type: "lacking", blob: { digest, size: 8 } })
  })
})
