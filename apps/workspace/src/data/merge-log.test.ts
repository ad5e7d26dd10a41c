import type { ResolvedConflict } from "@dunlin/rxdb"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, expect, it, vi } from "vitest"
import { authorId } from "../device/profile.ts"
import type { WorkspaceDatabase } from "./database.ts"
import { createMergeLog } from "./merge-log.ts"
import { mergeSchema, type MergeRow } from "./schemas.ts"

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

async function openLog() {
  const database = await createRxDatabase({
    name: `merge-log-${Date.now()}-${opened.length}`,
    storage: getRxStorageMemory(),
  })
  const collections = await database.addCollections<{ merges: RxCollection<MergeRow> }>({
    merges: { schema: mergeSchema },
  })
  const log = createMergeLog()
  log.attach(collections as unknown as WorkspaceDatabase)
  opened.push(database, log)
  return log
}

/** Each of these authors wrote a title without knowing of the others. */
function conflict(...authors: readonly (readonly [by: string, title: string])[]): ResolvedConflict {
  const writes = authors.map(([by, title], index) => {
    const edit = { at: 10 + index, by, who: `name of ${by}`, saw: 0 }
    const document = { id: "d", title, tags: [], archived: false, created: 1, updated: 10 + index }
    return {
      document: { ...document, edits: { title: edit }, _deleted: false },
      writtenAt: index,
      lost: true,
    }
  })
  return { key: "d", merged: writes[0]?.document ?? { _deleted: true }, writes, at: 20 }
}

it.each([
  ["lost", [authorId, "other"]],
  ["won", ["other", authorId]],
] as const)("tells whoever %s", async (_, [first, second]) => {
  const log = await openLog()
  log.resolved("document", conflict([first, "early"], [second, "late"]))
  log.resolved("document", conflict([first, "early"], [second, "late"]))
  await vi.waitFor(() => expect(log.merges.get()).toHaveLength(1))
  expect(log.merges.get()[0]).toMatchObject({ kept: "late", lost: "early", lostBy: `name of ${first}` })
})

it("reads what peers wrote, whatever it is", async () => {
  const log = await openLog()
  const { writes, ...rest } = conflict([authorId, "early"], ["other", "late"])
  const [mine, theirs] = writes
  if (mine === undefined || theirs === undefined) throw new Error("no writes")
  for (const edits of [undefined, null, { title: null }, "no edits"])
    log.resolved("document", {
      ...rest,
      writes: [{ ...theirs, document: { ...theirs.document, edits } }, mine],
    })
  log.resolved("document", { ...rest, writes })
  await vi.waitFor(() => expect(log.merges.get()).toHaveLength(1))
})

it("tells of each value that gave way, and nothing to who had no part in it", async () => {
  const log = await openLog()
  log.resolved("document", conflict(["one", "early"], ["two", "late"]))
  log.resolved("document", conflict(["one", "a"], [authorId, "b"], ["two", "c"]))
  await vi.waitFor(() => expect(log.merges.get()).toHaveLength(2))
  expect(log.merges.get().map(({ lost }) => lost)).toEqual(expect.arrayContaining(["a", "b"]))
})
