import { randomBytes } from "node:crypto"
import { addRxPlugin, type RxCollection, type RxStorage } from "rxdb/plugins/core"
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments"
import { wrappedAttachmentsCompressionStorage } from "rxdb/plugins/attachments-compression"
import { wrappedKeyEncryptionCryptoJsStorage } from "rxdb/plugins/encryption-crypto-js"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { createFlock, noteSchema, settled, until } from "./room-flock.ts"

beforeAll(() => addRxPlugin(RxDBAttachmentsPlugin))

let flock: ReturnType<typeof createFlock>
beforeEach(() => {
  flock = createFlock()
})
afterEach(() => flock.close())

const creator = { schema: { ...noteSchema, attachments: {} } } as const

async function put(collection: RxCollection, key: string, id: string, bytes: Uint8Array): Promise<void> {
  const document = await collection.findOne(key).exec(true)
  await document.putAttachment({ id, data: new Blob([bytes as BlobPart]), type: "application/octet-stream" })
}

async function get(collection: RxCollection, key: string, id: string): Promise<Buffer | null> {
  const document = await collection.findOne(key).exec()
  const attachment = document?.getAttachment(id) ?? null
  if (attachment === null) return null
  const data = await attachment.getData()
  return Buffer.from(await data.arrayBuffer())
}

describe("attachments", () => {
  test("arrive whole, small and large, and go on to a third peer", async () => {
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await a.collection.insert({ id: "x", text: "with attachments" })
    const small = Buffer.from("a few bytes")
    const large = randomBytes(700_000)
    await put(a.collection, "x", "small.txt", small)
    await put(a.collection, "x", "large.bin", large)
    await put(a.collection, "x", "empty", Buffer.alloc(0))
    await until(async () => (await get(b.collection, "x", "empty")) !== null, "the attachments")
    expect(await get(b.collection, "x", "small.txt")).toEqual(small)
    expect((await get(b.collection, "x", "large.bin"))?.equals(large)).toBe(true)

    const c = await flock.join({ creator })
    await until(
      async () => (await get(c.collection, "x", "large.bin")) !== null,
      "the attachment at the third",
    )
    expect((await get(c.collection, "x", "large.bin"))?.equals(large)).toBe(true)
    // The shelf is cleared once the row holds the data.
    const edited = await b.collection.findOne("x").exec(true)
    await edited.patch({ text: "edited beside them" })
    expect(await settled([a, b, c])).toMatchObject({ x: { text: "edited beside them" } })
    expect((await get(c.collection, "x", "large.bin"))?.equals(large)).toBe(true)
  })

  test("of both sides of a conflict are there for whoever restores one", async () => {
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await a.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    const [mine, theirs] = [randomBytes(100_000), randomBytes(120_000)]
    await Promise.all([put(a.collection, "x", "file", mine), put(b.collection, "x", "file", theirs)])
    await settled([a, b])
    await until(async () => {
      const [left, right] = [await get(a.collection, "x", "file"), await get(b.collection, "x", "file")]
      return left !== null && right !== null && left.equals(right)
    }, "one file on both sides")
    const c = await flock.join({ creator })
    await until(async () => (await get(c.collection, "x", "file")) !== null, "the file at a newcomer")
    const [left, third] = [await get(a.collection, "x", "file"), await get(c.collection, "x", "file")]
    expect(third?.equals(left ?? Buffer.alloc(0))).toBe(true)
  })

  test("can be removed", async () => {
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await a.collection.insert({ id: "x", text: "start" })
    await put(a.collection, "x", "file", randomBytes(1000))
    await until(async () => (await get(b.collection, "x", "file")) !== null, "the file")
    const document = await a.collection.findOne("x").exec(true)
    await document.getAttachment("file")?.remove()
    await until(async () => (await get(b.collection, "x", "file")) === null, "its end")
  })

  test.each([
    {
      attachments: { compression: "deflate" },
      storage: wrappedAttachmentsCompressionStorage({ storage: getRxStorageMemory() }),
    },
    {
      attachments: { encrypted: true },
      storage: wrappedKeyEncryptionCryptoJsStorage({ storage: getRxStorageMemory() }),
    },
  ] as const)(
    "that the storage keeps in another form are refused at once",
    async ({ attachments, storage }) => {
      const { collection } = await flock.openDatabase({
        creator: { schema: { ...noteSchema, attachments } },
        storage: storage as RxStorage<unknown, unknown>,
        password: "a password of some length",
      })
      expect(() => rxdbReplica(collection)).toThrow(expect.objectContaining({ code: "invalid-option" }))
    },
  )
})
