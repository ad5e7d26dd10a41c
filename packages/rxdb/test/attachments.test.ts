import { randomBytes } from "node:crypto"
import { addRxPlugin, type RxCollection, type RxStorage } from "rxdb/plugins/core"
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments"
import { wrappedAttachmentsCompressionStorage } from "rxdb/plugins/attachments-compression"
import { wrappedKeyEncryptionCryptoJsStorage } from "rxdb/plugins/encryption-crypto-js"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { beforeAll, describe, expect, test } from "vitest"
import { mergeFields } from "../src/index.ts"
import { type BirdOptions, memory, noteSchema, settled, until, useFlock, wait } from "./room-flock.ts"

beforeAll(() => addRxPlugin(RxDBAttachmentsPlugin))

const flock = useFlock()

const creator = { schema: { ...noteSchema, attachments: {} } } as const

async function put(
  collection: RxCollection,
  key: string,
  id: string,
  bytes: Uint8Array,
  type = "application/octet-stream",
): Promise<void> {
  const document = await collection.findOne(key).exec(true)
  await document.putAttachment({ id, data: new Blob([bytes as BlobPart]), type })
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

  test("and the edit right behind one are taken at the first attempt, however many there are", async () => {
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await settled([a, b])
    const refusals: unknown[] = []
    b.room.diagnostics.subscribe((event) => event.type === "refused" && refusals.push(event))
    // More documents than are fetched at a time.
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`)
    await a.collection.bulkInsert(keys.map((id) => ({ id, text: "without" })))
    const attach = async (key: string): Promise<void> => {
      await put(a.collection, key, "file", Buffer.from(`the file of ${key}`))
      await (await a.collection.findOne(key).exec(true)).patch({ text: "with" })
    }
    await Promise.all(keys.map(attach))
    const last = Object.fromEntries(keys.map((id) => [id, { id, text: "with" }]))
    expect(await settled([a, b])).toMatchObject(last)
    await until(async () => {
      const documents = await b.collection.find().exec()
      return documents.every((document) => document.getAttachment("file") !== null)
    }, "every file")
    expect(refusals).toEqual([])
  })

  test("of many documents come over a slow disk, and none is refused", async () => {
    const a = await flock.join({ creator })
    const keys = Array.from({ length: 300 }, (_, index) => `k${index}`)
    await a.collection.bulkInsert(keys.map((id) => ({ id, text: "with" })))
    await Promise.all(keys.map((key) => put(a.collection, key, "file", Buffer.from(`the file of ${key}`))))
    const b = await flock.join({ creator, storage: slowToWrite("notes", 200) })
    const refusals: unknown[] = []
    b.room.diagnostics.subscribe((event) => event.type === "refused" && refusals.push(event))
    await until(async () => (await b.collection.count().exec()) === keys.length, "every document", 60_000)
    expect(refusals).toEqual([])
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
})

const encodings = [
  {
    form: "compressed",
    attachments: { compression: "deflate" },
    storage: () => wrappedAttachmentsCompressionStorage({ storage: getRxStorageMemory() }),
  },
  {
    form: "encrypted",
    attachments: { encrypted: true },
    storage: () => wrappedKeyEncryptionCryptoJsStorage({ storage: getRxStorageMemory() }),
  },
] as const

describe.each(encodings)("attachments that the storage keeps $form", ({ attachments, storage }) => {
  const encoded = (before?: (collection: RxCollection) => Promise<unknown>): BirdOptions => ({
    storage: storage() as RxStorage<unknown, unknown>,
    password: "a password of some length",
    creator: { schema: { ...noteSchema, attachments } },
    ...(before === undefined ? {} : { before }),
  })
  const text = Buffer.from("what anybody can read ".repeat(9_000))

  test("travel as they are, also to peers that keep them otherwise, and on to a third", async () => {
    const [a, b] = [await flock.join(encoded()), await flock.join({ creator })]
    await a.collection.insert({ id: "x", text: "with attachments" })
    await put(a.collection, "x", "long", text, "text/plain")
    await put(a.collection, "x", "empty", Buffer.alloc(0), "text/plain")
    await put(a.collection, "x", "image", randomBytes(70_000), "image/png")
    await until(async () => (await get(b.collection, "x", "image")) !== null, "the attachments")
    expect((await get(b.collection, "x", "long"))?.equals(text)).toBe(true)
    expect(await get(b.collection, "x", "empty")).toHaveLength(0)
    expect((await b.collection.findOne("x").exec(true)).getAttachment("long")?.length).toBe(text.length)

    const c = await flock.join(encoded())
    await until(async () => (await get(c.collection, "x", "image")) !== null, "them at the third")
    expect((await get(c.collection, "x", "long"))?.equals(text)).toBe(true)
    const answer = Buffer.from("an answer ".repeat(1_000))
    await put(c.collection, "x", "answer", answer, "text/plain")
    await (await c.collection.findOne("x").exec(true)).patch({ text: "edited beside them" })
    expect(await settled([a, b, c])).toMatchObject({ x: { text: "edited beside them" } })
    for (const { collection } of [a, b, c]) {
      expect((await get(collection, "x", "long"))?.equals(text)).toBe(true)
      expect((await get(collection, "x", "answer"))?.equals(answer)).toBe(true)
    }
    await (await a.collection.findOne("x").exec(true)).getAttachment("long")?.remove()
    await until(async () => (await get(b.collection, "x", "long")) === null, "the end of one")
    expect((await get(c.collection, "x", "answer"))?.equals(answer)).toBe(true)
  })

  test("of both sides of a conflict are there for a newcomer", async () => {
    const [a, b] = [await flock.join(encoded()), await flock.join(encoded())]
    await a.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    const [mine, theirs] = ["mine ", "theirs "].map((word) => Buffer.from(word.repeat(20_000)))
    await Promise.all([
      put(a.collection, "x", "file", mine as Buffer, "text/plain"),
      put(b.collection, "x", "file", theirs as Buffer, "text/plain"),
    ])
    await settled([a, b])
    const c = await flock.join(encoded())
    await until(async () => {
      const files = await Promise.all([a, b, c].map(({ collection }) => get(collection, "x", "file")))
      return files.every((file) => file !== null && file.equals(files[0] as Buffer))
    }, "one file everywhere")
  })

  test("and that are older than Dunlin are found equal, and edited without a conflict", async () => {
    const fill = async (collection: RxCollection) => {
      await collection.insert({ id: "x", text: "older" })
      await put(collection, "x", "long", text, "text/plain")
    }
    const a = await flock.join(encoded(fill))
    const b = await flock.join(encoded(fill))
    const received: unknown[] = []
    b.handle.attachments$.subscribe((progress) => received.push(progress))
    await Promise.all([a.room.synced(), b.room.synced()])
    await (await a.collection.findOne("x").exec(true)).patch({ text: "edited" })
    expect(await settled([a, b])).toMatchObject({ x: { text: "edited" } })
    expect((await get(b.collection, "x", "long"))?.equals(text)).toBe(true)
    expect(received).toEqual([])
    expect([...a.handle.recentConflicts(), ...b.handle.recentConflicts()]).toEqual([])
  })

  test("and that are older than Dunlin do not keep fields from being merged", async () => {
    const options = encoded(async (collection) => {
      await collection.insert({ id: "x", text: "older", rank: 1 })
      await put(collection, "x", "long", text, "text/plain")
    })
    const merging = { ...options, creator: { ...options.creator, conflictHandler: mergeFields() } }
    const [a, b] = [await flock.join(merging), await flock.join(merging)]
    await settled([a, b])
    for (const rank of [7, 8]) {
      const edited = `edited at ${rank}`
      await Promise.all([
        (await a.collection.findOne("x").exec(true)).patch({ text: edited }),
        (await b.collection.findOne("x").exec(true)).patch({ rank }),
      ])
      expect(await settled([a, b])).toEqual({ x: { id: "x", text: edited, rank } })
    }
    expect((await get(b.collection, "x", "long"))?.equals(text)).toBe(true)
  })
})

test("neither rows nor what is kept beside them hold the plaintext of encrypted attachments", async () => {
  const written: string[] = []
  const plain = getRxStorageMemory()
  const spied = {
    ...plain,
    async createStorageInstance(...given: Parameters<typeof plain.createStorageInstance>) {
      const instance = await plain.createStorageInstance(...given)
      const write = instance.bulkWrite.bind(instance)
      instance.bulkWrite = async (rows, context) => {
        for (const { document } of rows) {
          written.push(JSON.stringify(document))
          for (const one of Object.values(document._attachments))
            if ("data" in one) written.push(await one.data.text())
        }
        return write(rows, context)
      }
      return instance
    },
  } as typeof plain
  const join = () =>
    flock.join({
      storage: wrappedKeyEncryptionCryptoJsStorage({ storage: spied }) as RxStorage<unknown, unknown>,
      password: "a password of some length",
      creator: { schema: { ...noteSchema, attachments: { encrypted: true } } },
    })
  const [a, b] = [await join(), await join()]
  const secret = Buffer.from("nobody may read this ".repeat(5_000))
  await a.collection.insert({ id: "x", text: "open" })
  await put(a.collection, "x", "secret", secret, "text/plain")
  await until(async () => (await get(b.collection, "x", "secret")) !== null, "the attachment")
  expect((await get(b.collection, "x", "secret"))?.equals(secret)).toBe(true)
  const forms = [secret.toString(), secret.toString("base64")].map((form) => form.slice(300, 330))
  expect(written.filter((one) => forms.some((form) => one.includes(form)))).toEqual([])
  expect(written.some((one) => one.includes("b|x|"))).toBe(true)
})

/** A disk that is slow to write to one collection. */
function slowToWrite(collectionName: string, delayMs: number): RxStorage<unknown, unknown> {
  const inner = memory()
  return {
    ...inner,
    async createStorageInstance(given) {
      const instance = await inner.createStorageInstance(given)
      if (given.collectionName !== collectionName) return instance
      const write = instance.bulkWrite.bind(instance)
      instance.bulkWrite = async (rows, context) => {
        await wait(delayMs)
        return write(rows, context)
      }
      return instance
    },
  }
}
