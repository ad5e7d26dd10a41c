import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, expect, it } from "vitest"
import type { WorkspaceDatabase } from "./database.ts"
import { createDocumentList } from "./document-list.ts"
import { documentSchema, taskSchema, type DocumentRow, type TaskRow } from "./schemas.ts"
import { createTaskBoard } from "./task-board.ts"

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

async function openData() {
  const database = await createRxDatabase({
    name: `entered-fast-${Date.now()}-${opened.length}`,
    storage: getRxStorageMemory(),
  })
  const collections = await database.addCollections<{
    documents: RxCollection<DocumentRow>
    tasks: RxCollection<TaskRow>
  }>({ documents: { schema: documentSchema }, tasks: { schema: taskSchema } })
  const log = { overwritten: () => undefined }
  const data = collections as unknown as WorkspaceDatabase
  const [documents, tasks] = [createDocumentList(data, log), createTaskBoard(data, log)]
  opened.push(database, documents.entries, tasks.entries)
  return { documents, tasks, collections }
}

it("tasks that come faster than they are listed stand in the order they came in", async () => {
  const { tasks, collections } = await openData()
  const titles = Array.from({ length: 20 }, (_, index) => `Task ${index}`)
  for (const title of titles) await tasks.create(title, "todo")
  const stored = await collections.tasks.find({ sort: [{ rank: "asc" }] }).exec()
  expect(stored.map(({ title }) => title)).toEqual(titles)
  expect(new Set(stored.map(({ rank }) => rank.slice(0, 2))).size).toBe(titles.length)
})

it("tags that come faster than they are stored are all there, and one that goes takes no other along", async () => {
  const { documents, collections } = await openData()
  const id = await documents.create()
  await Promise.all(["field", "guide", "waders", "field"].map((tag) => documents.addTag(id, tag)))
  const tagsOf = async () => (await collections.documents.findOne(id).exec(true)).toJSON().tags
  expect(await tagsOf()).toEqual(["field", "guide", "waders"])
  await Promise.all([documents.addTag(id, "winter"), documents.removeTag(id, "guide")])
  expect(await tagsOf()).toEqual(["field", "waders", "winter"])
})
