import { addRxPlugin, type RxCollection, type RxConflictHandler } from "rxdb/plugins/core"
import { RxDBMigrationSchemaPlugin } from "rxdb/plugins/migration-schema"
import { beforeAll, describe, expect, test } from "vitest"
import type { ReplicaReport } from "@dunlin/core"
import { rxdbReplica } from "../src/index.ts"
import { stamperOf } from "../src/stamper.ts"
import {
  type Bird,
  contents,
  dexie,
  freshName,
  noteSchema,
  settled,
  until,
  useFlock,
  wait,
} from "./room-flock.ts"

beforeAll(() => addRxPlugin(RxDBMigrationSchemaPlugin))

const flock = useFlock()

interface Note {
  id: string
  text?: string
}

/** Every merge is recognisable by its text. */
const conflictHandler: RxConflictHandler<Note> = {
  isEqual: (a, b) => a.text === b.text,
  resolve: ({ realMasterState, newDocumentState }) =>
    Promise.resolve({ ...newDocumentState, text: `${realMasterState.text}|${newDocumentState.text}` }),
}
const creator = { conflictHandler } as const

async function reopened(bird: Bird, options: Parameters<typeof flock.join>[0]): Promise<Bird> {
  await bird.room.close()
  await bird.database.close()
  return flock.join({ storage: dexie(), name: bird.database.name, creator, ...options })
}

/** Drops what this tab keeps in memory, which neither another tab nor the next start knows. */
function forget({ collection }: Bird): void {
  stamperOf(collection, { mergesFields: false, hasPushModifier: false }).contextsAhead.clear()
}

const documents = Array.from({ length: 20 }, (_, n) => ({ id: `n${n}`, text: "the same" }))
/** Stamps the documents as they are written, so that each side has its own dot. */
const before = (collection: RxCollection): Promise<unknown> => {
  rxdbReplica(collection)
  return collection.bulkInsert(documents)
}

/** Writes knowing only what the row says, not what this tab keeps in memory. False if the row changed meanwhile. */
async function writeAsAnotherTab({ collection }: Bird, id: string): Promise<boolean> {
  const { originalStorageInstance } = collection.storageInstance
  const [previous] = await originalStorageInstance.findDocumentsById([id], true)
  if (previous === undefined) throw new Error("no row")
  const { dunlin } = previous._meta as unknown as { dunlin: { dot: readonly [string, number] } }
  const clock = dunlin.dot[1] + 2048 * 60_000
  const document = {
    ...previous,
    text: "of another tab",
    _rev: "2-othertab",
    _meta: {
      lwt: Date.now(),
      dunlin: {
        context: [...dunlin.dot, "00000000000000aa", clock],
        dot: ["00000000000000aa", clock],
        height: 2,
        hash: "00".repeat(16),
      },
    },
  }
  const { error } = await originalStorageInstance.bulkWrite(
    [{ previous, document: document as never }],
    "another-tab",
  )
  return error.length === 0
}

describe("equal content under two stamps", () => {
  test("is told as no conflict, wherever it comes from", async () => {
    const told: string[] = []
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    for (const { handle } of [a, b]) handle.conflicts$.subscribe(({ key }) => told.push(key))
    await Promise.all([a, b].map(({ collection }) => collection.bulkInsert(documents)))
    await Promise.all(
      [a, b].map(({ collection }, n) => collection.insert({ id: "other", text: `other ${n}` })),
    )
    await settled([a, b])
    await until(() => told.length > 0, "the conflict")
    await Promise.all([a.handle.synced(), b.handle.synced()])
    expect(new Set(told)).toEqual(new Set(["other"]))
  })

  test("makes no conflict of an edit after a restart", async () => {
    const a = await flock.join({ creator, before })
    let b = await flock.join({ storage: dexie(), name: freshName(), creator, before })
    await settled([a, b])
    const [row] = await b.collection.storageInstance.findDocumentsById(["n7"], true)
    expect(row?._rev.startsWith("1-")).toBe(true)
    await wait(300)
    b = await reopened(b, {})
    await until(() => b.room.peers.get().length === 1, "the link")
    forget(b)
    await b.collection.upsert({ id: "n7", text: "edited" })
    await (await b.collection.findOne("n8").exec(true)).remove()
    const state = await settled([a, b])
    expect(state).toMatchObject({ n7: { text: "edited" }, n9: { text: "the same" } })
    expect(state).not.toHaveProperty("n8")
    await a.collection.upsert({ id: "n7", text: "and again" })
    expect(await settled([a, b])).toMatchObject({ n7: { text: "and again" } })
    expect([a, b].flatMap(({ handle }) => handle.recentConflicts())).toEqual([])
  })

  test("makes none of an edit where the hook of another tab does not know of it", async () => {
    const [a, b] = [await flock.join({ creator, before }), await flock.join({ creator, before })]
    await settled([a, b])
    // Refused while this tab still writes the row itself.
    await expect.poll(() => writeAsAnotherTab(b, "n3"), { timeout: 10_000 }).toBe(true)
    expect(await settled([a, b])).toMatchObject({ n3: { text: "of another tab" } })
    expect([a, b].flatMap(({ handle }) => handle.recentConflicts())).toEqual([])
  })

  test("keeps a merge that happens to equal the row apart from edits made before it", async () => {
    const keepsFirst: RxConflictHandler<Note> = {
      isEqual: () => false,
      resolve: ({ realMasterState }) => Promise.resolve(realMasterState),
    }
    const own = { conflictHandler: keepsFirst } as const
    const [a, b] = [await flock.join({ creator: own }), await flock.join({ creator: own })]
    await a.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    await Promise.all([
      a.collection.upsert({ id: "x", text: "of a" }),
      b.collection.upsert({ id: "x", text: "of b" }),
    ])
    const state = (await settled([a, b])) as Record<string, Note>
    await wait(100)
    // At the author of the earlier write, the merge equals what the row showed before.
    const first = state["x"]?.text === "of a" ? a : b
    const told = first.handle.recentConflicts().length
    forget(first)
    await first.collection.upsert({ id: "x", text: "after both" })
    expect(await settled([a, b])).toMatchObject({ x: { text: "after both" } })
    expect(first.handle.recentConflicts()).toHaveLength(told)
  })
})

describe("a migration strategy that fails on what the sidecar holds", () => {
  test("holds up that document alone, and only until it is written again", async () => {
    const own = { conflictHandler: { ...conflictHandler, resolve: laterText } } as const
    const nameOfA = freshName()
    let a = await flock.join({ storage: dexie(), name: nameOfA, creator: own })
    let b = await flock.join({ storage: dexie(), name: freshName(), creator: own })
    await a.collection.bulkInsert([
      { id: "x", text: "start" },
      { id: "y", text: "start" },
    ])
    await settled([a, b])
    await Promise.all([
      a.collection.upsert({ id: "x", text: "1" }),
      b.collection.upsert({ id: "x", text: "2" }),
    ])
    await settled([a, b])
    await wait(300)
    const v1 = {
      ...own,
      schema: {
        ...noteSchema,
        version: 1,
        properties: { ...noteSchema.properties, tag: { type: "string" } },
      },
      migrationStrategies: {
        1: (document: Record<string, unknown>) => {
          if (document["text"] === "1") throw new Error("no strategy for this")
          return { ...document, tag: "migrated" }
        },
      },
    } as const
    b = await reopened(b, { creator: v1 })
    const reports: ReplicaReport[] = []
    b.handle.error$.subscribe((report) => reports.push(report))
    a = await reopened(a, { creator: v1 })
    await until(() => b.room.peers.get().length === 1, "the link")
    await a.collection.upsert({ id: "y", text: "goes on" })
    await until(
      async () => (await b.collection.findOne("y").exec(true)).get("text") === "goes on",
      "the other document",
    )
    expect(await contents(b.collection)).toMatchObject({ x: { text: "2", tag: "migrated" } })
    // Whoever writes the document now has seen both.
    await b.collection.upsert({ id: "x", text: "mended", tag: "new" })
    expect(await settled([a, b])).toMatchObject({ x: { text: "mended", tag: "new" }, y: { text: "goes on" } })
  })
})

function laterText({
  realMasterState,
  newDocumentState,
}: Parameters<RxConflictHandler<Note>["resolve"]>[0]): Promise<Note & { _deleted: boolean }> {
  const [a, b] = [String(realMasterState.text), String(newDocumentState.text)]
  return Promise.resolve(a > b ? realMasterState : newDocumentState)
}
