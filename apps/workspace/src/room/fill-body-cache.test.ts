import { type LoroDocuments, loroReplica, memoryStore } from "@dunlin/loro"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, expect, it } from "vitest"
import { type BodyCache, createBodyCache } from "../data/body-cache.ts"
import type { WorkspaceDatabase } from "../data/database.ts"
import { bodySchema, type BodyRow } from "../data/schemas.ts"
import { smallStore } from "../device/small-store.ts"
import { fillBodyCache, type FillOptions } from "./fill-body-cache.ts"
import { noRoom } from "./no-room.ts"

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

async function openBodies(name: string, stored: BodyRow[] = []) {
  const database = await createRxDatabase({
    name: `fill-${name}-${Date.now()}`,
    storage: getRxStorageMemory(),
  })
  const collections = await database.addCollections<{ bodies: RxCollection<BodyRow> }>({
    bodies: { schema: bodySchema },
  })
  await collections.bodies.bulkInsert(stored)
  const bodies = createBodyCache(collections as unknown as WorkspaceDatabase, name)
  opened.push(database, bodies)
  return bodies
}

/** Opens three documents, of which the second cannot be read. */
async function openDocuments(): Promise<LoroDocuments> {
  const store = memoryStore()
  const writing = await loroReplica({ name: "notes", store }).attach(noRoom())
  for (const id of ["a", "b", "c"]) {
    await using document = await writing.handle.open(id)
    document.doc.getText("body").insert(0, `text of ${id}`)
  }
  await writing.detach()
  const raw = await store.open()
  await raw.commit({ logs: [{ id: "b", sequence: 0, bytes: Uint8Array.of(1, 2, 3) }] })
  await raw.close()
  const reading = await loroReplica({ name: "notes", store }).attach(noRoom())
  opened.push({ close: () => reading.detach() })
  return reading.handle
}

async function readBody(documents: LoroDocuments, id: string): Promise<string> {
  await using document = await documents.open(id)
  return document.doc.getText("body").toString()
}

function fillOptions(documents: LoroDocuments, bodies: BodyCache): FillOptions {
  return {
    documents,
    bodies,
    readBody: (id) => readBody(documents, id),
    isListed: async (id) => id === "listed",
    isClosed: () => false,
  }
}

it("a text that was deleted while no page was open is not kept", async () => {
  const documents = await openDocuments()
  const bodies = await openBodies("deleted", [
    { id: "gone", text: "a secret" },
    { id: "listed", text: "the only copy" },
  ])
  await fillBodyCache(fillOptions(documents, bodies))
  expect(["gone", "listed", "a"].map((id) => bodies.text(id))).toEqual([
    undefined,
    "the only copy",
    "text of a",
  ])
})

it("a text that cannot be read keeps none of the others from being found", async () => {
  const documents = await openDocuments()
  const bodies = await openBodies("damaged")
  await fillBodyCache(fillOptions(documents, bodies))
  expect(["a", "b", "c"].map((id) => bodies.text(id))).toEqual(["text of a", undefined, "text of c"])
})

it("what a page did not come to is left to the next one", async () => {
  const documents = await openDocuments()
  smallStore.write("unstored-ended", "1")
  const bodies = await openBodies("ended", [{ id: "a", text: "text of a" }])
  let isClosed = false
  const readUntilClosed = (id: string): Promise<string> => {
    isClosed = id === "b"
    return readBody(documents, id)
  }
  await fillBodyCache({
    ...fillOptions(documents, bodies),
    readBody: readUntilClosed,
    isClosed: () => isClosed,
  })
  expect(smallStore.read("unstored-ended")).toBe("1")
})
