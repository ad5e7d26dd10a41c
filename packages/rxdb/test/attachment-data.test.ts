// Where attachment data is kept, and where it is removed.
import { randomBytes } from "node:crypto"
import { addRxPlugin, type RxCollection, type RxStorage } from "rxdb/plugins/core"
import { RxDBAttachmentsPlugin } from "rxdb/plugins/attachments"
import { beforeAll, describe, expect, test } from "vitest"
import { openSidecar } from "../src/sidecar.ts"
import { type Bird, dexie, memory, noteSchema, settled, until, useFlock, wait } from "./room-flock.ts"

beforeAll(() => addRxPlugin(RxDBAttachmentsPlugin))

const flock = useFlock()

const creator = { schema: { ...noteSchema, attachments: {} } }

async function put({ collection }: Bird, bytes: Uint8Array): Promise<void> {
  const document = await collection.findOne("x").exec(true)
  await document.putAttachment({ id: "file", data: new Blob([bytes as BlobPart]), type: "text/plain" })
}

async function data({ collection }: Bird): Promise<string | null> {
  const attachment = (await collection.findOne("x").exec())?.getAttachment("file") ?? null
  return attachment === null ? null : (await attachment.getData()).text()
}

/** Ids of the records on the shelf. */
async function onShelf({ collection }: Bird): Promise<readonly string[]> {
  const sidecar = await openSidecar(collection)
  const { ids } = await sidecar.changedSince(null, 100_000)
  const held = await sidecar.get(ids)
  await sidecar.close()
  return [...held.keys()].filter((id) => /^[bcp]\||^shelf$/.test(id))
}

const storages: readonly (readonly [string, () => RxStorage<unknown, unknown>])[] = [
  ["memory", memory],
  ["Dexie", dexie],
]

describe.each(storages)(
  "in %s, a document that comes back over its tombstone has its data again",
  (_, storage) => {
    const pair = async (): Promise<readonly [Bird, Bird]> => {
      const keepsAlive = {
        isEqual: () => false,
        resolve: ({
          realMasterState: a,
          newDocumentState: b,
        }: {
          realMasterState: unknown
          newDocumentState: unknown
        }) => Promise.resolve((a as { _deleted?: boolean })._deleted === true ? b : a),
      }
      const join = (): Promise<Bird> =>
        flock.join({ creator: { ...creator, conflictHandler: keepsAlive as never }, storage: storage() })
      const [a, b] = [await join(), await join()]
      await a.collection.insert({ id: "x", text: "one" })
      await put(a, Buffer.from("the data"))
      await until(async () => (await data(b)) === "the data", "the data")
      return [a, b]
    }
    const text = async ({ collection }: { readonly collection: RxCollection }): Promise<unknown> =>
      (await collection.findOne("x").exec())?.get("text")

    test("by an edit that the handler prefers to the deletion", async () => {
      const [a, b] = await pair()
      const [ours, theirs] = [
        await a.collection.findOne("x").exec(true),
        await b.collection.findOne("x").exec(true),
      ]
      await Promise.all([theirs.remove(), ours.incrementalPatch({ text: "edited" })])
      await until(async () => (await text(b)) === "edited", "the edit")
      expect([await data(a), await data(b)]).toEqual(["the data", "the data"])
    })

    test("by an insert with the same attachment", async () => {
      const [a, b] = await pair()
      await (await b.collection.findOne("x").exec(true)).remove()
      await until(async () => (await text(a)) === undefined, "the deletion")
      await a.collection.insert({ id: "x", text: "again" })
      await put(a, Buffer.from("the data"))
      await until(async () => (await data(b)) === "the data", "the data")
      expect(await text(b)).toBe("again")
    })
  },
)

describe("the shelf", () => {
  const inConflict = async (): Promise<readonly [Bird, Bird]> => {
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await a.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    await Promise.all([put(a, randomBytes(100_000)), put(b, randomBytes(120_000))])
    await until(async () => (await data(a)) !== null && (await data(a)) === (await data(b)), "one of both")
    // The winner shows its data before it has heard of the other write, and what follows would not replace that write.
    await until(
      () => [a, b].every(({ handle }) => handle.recentConflicts().length > 0),
      "the conflict at both",
    )
    return [a, b]
  }
  const isEmpty = async (birds: readonly Bird[]): Promise<boolean> =>
    (await Promise.all(birds.map(onShelf))).every((ids) => ids.length === 0)

  test("frees what lost a conflict once a local edit has replaced it", async () => {
    const [a, b] = await inConflict()
    await (await a.collection.findOne("x").exec(true)).patch({ text: "resolved" })
    await until(() => isEmpty([a, b]), "empty shelves")
  })

  test("frees what lost a conflict once the document is deleted", async () => {
    const [a, b] = await inConflict()
    await (await a.collection.findOne("x").exec(true)).remove()
    await until(() => isEmpty([a, b]), "empty shelves")
  })

  test("keeps what a pull.modifier left out of the row, so that others get it", async () => {
    const strips = (document: object): object =>
      Object.fromEntries(Object.entries(document).filter(([name]) => name !== "_attachments"))
    const a = await flock.join({ creator })
    const b = await flock.join({ creator, replica: { pull: { modifier: strips as never } } })
    await a.collection.insert({ id: "x", text: "start" })
    await put(a, Buffer.from("the data"))
    await until(async () => (await onShelf(b)).length > 0, "the data at the one who leaves it out")
    await wait(300)
    await a.room.close()
    const c = await flock.join({ creator })
    await until(async () => (await data(c)) === "the data", "the data at a newcomer")
  })
})

test("many documents with many attachments come, each chunk once", async () => {
  const [documents, each] = [64, 24]
  const a = await flock.join({ creator })
  for (let n = 0; n < documents; n++) {
    const document = await a.collection.insert({ id: `x${n}` })
    const files = Array.from({ length: each }, (_, at) => ({
      id: `file ${at}`,
      data: new Blob([`data ${n} ${at}`]),
      type: "text/plain",
    }))
    await document.putAttachments(files)
  }
  const b = await flock.join({ creator })
  let chunks = 0
  b.handle.attachments$.subscribe(() => chunks++)
  await until(async () => (await b.collection.count().exec()) === documents, "all documents", 60_000)
  expect(chunks).toBe(documents * each)
})
