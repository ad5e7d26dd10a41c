import type { ReplicaReport } from "@dunlin/core"
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv"
import { replicateRxCollection } from "rxdb/plugins/replication"
import type { RxStorage } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { describe, expect, test } from "vitest"
import { contents, noteSchema, settled, until, useFlock, wait } from "./room-flock.ts"

const flock = useFlock()

const validated = (): RxStorage<unknown, unknown> =>
  wrappedValidateAjvStorage({ storage: getRxStorageMemory() }) as unknown as RxStorage<unknown, unknown>

describe("documents on their way", () => {
  test("pass push and pull modifiers, the same whoever began", async () => {
    const replica = {
      push: {
        modifier: (document: Record<string, unknown>) =>
          document["text"] === "private"
            ? null
            : { ...document, text: String(document["text"]).toUpperCase() },
      },
      pull: {
        modifier: (document: Record<string, unknown>) => ({ ...document, rank: 99 }),
      },
    }
    const before = (
      collection: Parameters<NonNullable<Parameters<typeof flock.join>[0]>["before"] & object>[0],
    ) => collection.insert({ id: "old", text: "older than the replica" })
    const a = await flock.join({ replica, before })
    const b = await flock.join()
    await a.collection.bulkInsert([
      { id: "x", text: "shared" },
      { id: "p", text: "private" },
    ])
    await b.collection.insert({ id: "y", text: "from b" })
    await until(async () => Object.keys(await contents(b.collection)).length === 3, "the shared documents")
    await until(async () => (await a.collection.findOne("y").exec()) !== null, "the document of b")
    expect(await contents(b.collection)).toEqual({
      old: { id: "old", text: "OLDER THAN THE REPLICA" },
      x: { id: "x", text: "SHARED" },
      y: { id: "y", text: "from b" },
    })
    expect(await contents(a.collection)).toMatchObject({
      old: { text: "older than the replica" },
      p: { text: "private" },
      x: { text: "shared" },
      y: { text: "from b", rank: 99 },
    })
    // An edit on this device goes out in its shared form, on top of what the device had seen.
    await a.collection.upsert({ id: "y", text: "edited by a" })
    await until(
      async () => (await b.collection.findOne("y").exec(true)).get("text") === "EDITED BY A",
      "the edit",
    )
    await b.collection.upsert({ id: "x", text: "edited by b" })
    await until(
      async () => (await a.collection.findOne("x").exec(true)).get("text") === "edited by b",
      "the edit back",
    )
    await a.collection.upsert({ id: "p", text: "no longer secret" })
    await until(async () => (await b.collection.findOne("p").exec()) !== null, "the released document")
    expect(a.handle.recentConflicts()).toEqual([])
  })

  test("go one way only when told so, whichever side it is told", async () => {
    const sender = await flock.join({ replica: { direction: "send-only" } })
    const both = await flock.join()
    const receiver = await flock.join({ replica: { direction: "receive-only" } })
    await sender.collection.insert({ id: "s", text: "of the sender" })
    await both.collection.insert({ id: "b", text: "of both" })
    await receiver.collection.insert({ id: "r", text: "of the receiver" })
    await until(
      async () => Object.keys(await contents(receiver.collection)).length === 3,
      "all at the receiver",
    )
    await until(async () => Object.keys(await contents(both.collection)).length === 2, "two in the middle")
    await wait(500)
    expect(Object.keys(await contents(sender.collection))).toEqual(["s"])
    expect(Object.keys(await contents(both.collection))).toEqual(["b", "s"])
  })

  test("that the schema refuses are quarantined with a reason, and the rest goes on", async () => {
    const a = await flock.join()
    const b = await flock.join({ storage: validated() })
    const reports: ReplicaReport[] = []
    b.handle.error$.subscribe((report) => reports.push(report))
    await a.collection.bulkInsert([
      { id: "bad", text: 17 },
      { id: "good", text: "fine" },
    ])
    await until(async () => (await b.collection.findOne("good").exec()) !== null, "the good document")
    await until(() => reports.length > 0, "the report")
    expect(reports[0]).toMatchObject({ type: "quarantined", key: "bad" })
    expect((reports[0] as { reason: string }).reason).toContain("schema")
    expect(await b.collection.findOne("bad").exec()).toBeNull()
    // Once mended, it arrives.
    await a.collection.upsert({ id: "bad", text: "mended" })
    await until(async () => (await b.collection.findOne("bad").exec()) !== null, "the mended document")
  })

  test("that cannot be shared stay, and say so", async () => {
    const creator = {
      schema: { ...noteSchema, properties: { ...noteSchema.properties, any: { type: "object" } } },
    } as const
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    const reports: ReplicaReport[] = []
    a.handle.error$.subscribe((report) => reports.push(report))
    await a.collection.insert({ id: "x", any: JSON.parse('{"constructor": 1}') as object })
    await a.collection.insert({ id: "y", any: { fine: true } })
    await until(async () => (await b.collection.findOne("y").exec()) !== null, "the other document")
    expect(await b.collection.findOne("x").exec()).toBeNull()
    await until(
      () => reports.some((report) => report.type === "quarantined" && report.key === "x"),
      "the report",
    )
    await a.collection.upsert({ id: "x", any: { now: "fine" } })
    await until(async () => (await b.collection.findOne("x").exec()) !== null, "the mended document")
  })

  test("that hold a date stay, and say so, since nothing of it would arrive", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    const reports: ReplicaReport[] = []
    a.handle.error$.subscribe((report) => reports.push(report))
    await a.collection.insert({ id: "x", text: new Date(0) })
    await a.collection.insert({ id: "y", text: "fine" })
    await until(async () => (await b.collection.findOne("y").exec()) !== null, "the other document")
    await until(() => reports.length > 0, "the report")
    expect(reports[0]).toMatchObject({ type: "quarantined", key: "x" })
    expect((reports[0] as { reason: string }).reason).toContain("a Date is not JSON")
    expect(await b.collection.findOne("x").exec()).toBeNull()
    await a.collection.upsert({ id: "x", text: new Date(0).toISOString() })
    await until(async () => (await b.collection.findOne("x").exec()) !== null, "the mended document")
  })

  test("whose merge the schema refuses show the later write", async () => {
    const creator = {
      conflictHandler: {
        isEqual: () => false,
        resolve: ({ newDocumentState }: { newDocumentState: Record<string, unknown> }) =>
          Promise.resolve({ ...newDocumentState, text: 5 } as never),
      },
    }
    const [a, b] = [
      await flock.join({ creator, storage: validated() }),
      await flock.join({ creator, storage: validated() }),
    ]
    await until(() => a.room.peers.get().length === 1, "the link")
    await Promise.all([
      a.collection.insert({ id: "x", text: "of a" }),
      b.collection.insert({ id: "x", text: "of b" }),
    ])
    const state = (await settled([a, b])) as Record<string, { text: string }>
    expect(["of a", "of b"]).toContain(state["x"]?.text)
  })

  test("may be written by another replication too: adopted, not sent round", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    const server = Array.from({ length: 20 }, (_, n) => ({
      id: `s${n}`,
      text: "from a server",
      _deleted: false,
    }))
    const pushed: unknown[] = []
    for (const { collection } of [a, b]) {
      const replication = replicateRxCollection({
        replicationIdentifier: `server-${collection.database.name}`,
        collection: collection as never,
        live: true,
        pull: {
          handler: (checkpoint: unknown) =>
            Promise.resolve({ documents: checkpoint === undefined ? server : [], checkpoint: { done: 1 } }),
        },
        push: {
          handler: (rows: readonly unknown[]) => {
            pushed.push(...rows)
            return Promise.resolve([])
          },
        },
      } as never)
      await replication.awaitInitialReplication()
    }
    expect(Object.keys(await settled([a, b]))).toHaveLength(20)
    await wait(500)
    const rows = await a.collection.storageInstance.findDocumentsById(["s3"], true)
    expect(rows[0]?._rev.startsWith("1-")).toBe(true)
    expect(pushed).toEqual([])
    await a.collection.upsert({ id: "s3", text: "edited" })
    expect(await settled([a, b])).toMatchObject({ s3: { text: "edited" } })
  })

  test("keep composed primary keys", async () => {
    const creator = {
      schema: {
        version: 0,
        primaryKey: { key: "id", fields: ["text", "rank"], separator: "|" },
        type: "object",
        properties: {
          id: { type: "string", maxLength: 80 },
          text: { type: "string", maxLength: 40 },
          rank: { type: "number", multipleOf: 1, minimum: 0, maximum: 100 },
        },
        required: ["id", "text", "rank"],
      },
    } as const
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    await a.collection.insert({ text: "composed", rank: 3 })
    expect(await settled([a, b])).toEqual({ "composed|3": { id: "composed|3", text: "composed", rank: 3 } })
  })
})
