// Modifiers that are slow, or never answer.
import type { ReplicaReport } from "@dunlin/core"
import { describe, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { type Bird, contents, settledAs, until, useFlock } from "./room-flock.ts"

const flock = useFlock()

/** Does not answer for documents with the text "stuck" until it is told to. */
function stuckModifier() {
  const waiting: (() => void)[] = []
  let isStuck = true
  return {
    modifier: (document: Record<string, unknown>): unknown =>
      isStuck && document["text"] === "stuck"
        ? new Promise((resolve) => waiting.push(() => resolve(document)))
        : document,
    get asked() {
      return waiting.length
    },
    answer() {
      isStuck = false
      for (const one of waiting) one()
    },
  }
}

const reportsOf = ({ handle }: Bird): readonly ReplicaReport[] => {
  const reports: ReplicaReport[] = []
  handle.error$.subscribe((report) => reports.push(report))
  return reports
}

describe.each(["push", "pull"] as const)("a %s.modifier that does not answer", (side) => {
  const pair = async () => {
    const stuck = stuckModifier()
    const a = await flock.join(side === "push" ? { replica: { push: stuck } } : {})
    const b = await flock.join(side === "pull" ? { replica: { pull: stuck } } : {})
    await until(() => a.room.peers.get().length === 1, "the link")
    return { stuck, a, b }
  }

  test("holds up its documents alone, which follow once it answers", async () => {
    const { stuck, a, b } = await pair()
    const reports = reportsOf(side === "push" ? a : b)
    await a.collection.bulkInsert(["x", "y", "z"].map((id) => ({ id, text: "stuck" })))
    await until(() => stuck.asked > 0, "the modifier to be asked")
    await a.collection.insert({ id: "fine", text: "of a" })
    await until(async () => (await b.collection.findOne("fine").exec()) !== null, "the other document")
    expect(reports).toContainEqual(
      expect.objectContaining({
        type: "quarantined",
        reason: expect.stringContaining("no answer within 10 s") as string,
      }),
    )
    expect(Object.keys(await contents(b.collection))).toEqual(["fine"])
    stuck.answer()
    // Documents that a device did not take are offered again when the devices meet again.
    if (side === "pull") await b.handle.close()
    if (side === "pull") await b.room.replicate(rxdbReplica(b.collection, { pull: stuck }))
    await until(async () => Object.keys(await contents(b.collection)).length === 4, "the rest", 40_000)
    await a.handle.synced()
  }, 90_000)

  test("keeps no room and no database from closing", async () => {
    const { stuck, a, b } = await pair()
    await a.collection.bulkInsert(["x", "y", "z"].map((id) => ({ id, text: "stuck" })))
    await until(() => stuck.asked > 0, "the modifier to be asked")
    let closed = false
    const closing = Promise.all([a, b].map((bird) => bird.database.close())).then(() => (closed = true))
    await until(() => closed, "both to be closed")
    await closing
  })
})

test("what a push.modifier did not answer for at the start of a room is asked about again, also at the next start", async () => {
  const stuck = stuckModifier()
  const b = await flock.join()
  const { database, collection } = await flock.openDatabase({})
  await collection.insert({ id: "x", text: "stuck" })
  const room = await flock.openRoom()
  const handle = await room.replicate(rxdbReplica(collection, { push: stuck }))
  await handle.close()
  expect(await contents(b.collection)).toEqual({})
  stuck.answer()
  await room.replicate(rxdbReplica(collection, { push: stuck }))
  await settledAs([b.collection, collection], { x: { id: "x", text: "stuck" } })
  await database.close()
}, 90_000)

describe("a modifier that returns no document", () => {
  const mistakes = {
    "changes its argument and returns nothing": (document: Record<string, unknown>): void => {
      document["text"] = "changed"
    },
    "returns a text": (document: Record<string, unknown>): unknown => JSON.stringify(document),
    "returns a list": (document: Record<string, unknown>): unknown => [document],
  }
  const cases = (["push", "pull"] as const).flatMap((side) =>
    Object.entries(mistakes).map(([what, modifier]) => ({ side, what, modifier })),
  )

  test.each(cases)("$side, $what: the document is set aside, and the report says why", async (one) => {
    const replica = {
      [one.side]: {
        modifier: (document: Record<string, unknown>) =>
          document["id"] === "x" ? one.modifier(document) : document,
      },
    }
    const a = await flock.join(one.side === "push" ? { replica } : {})
    const b = await flock.join(one.side === "pull" ? { replica } : {})
    const reports = reportsOf(one.side === "push" ? a : b)
    await a.collection.insert({ id: "x", text: "of a" })
    await a.collection.insert({ id: "y", text: "of a" })
    await settledAs([b.collection], { y: { id: "y", text: "of a" } })
    await until(() => reports.length > 0, "the report")
    expect(reports[0]).toMatchObject({
      type: "quarantined",
      key: "x",
      reason: expect.stringContaining("where a document is expected") as string,
    })
    expect(await contents(a.collection)).toMatchObject({ x: { text: "of a" } })
  })
})
