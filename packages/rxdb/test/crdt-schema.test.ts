// RxDB's crdt plugin: documents that keep the operations that made them.
import type { ReplicaReport } from "@dunlin/core"
import { addRxPlugin, type RxCollection, type RxDocument } from "rxdb/plugins/core"
import { getCRDTSchemaPart, RxDBcrdtPlugin } from "rxdb/plugins/crdt"
import { beforeAll, expect, test } from "vitest"
import { rxdbReplica } from "../src/index.ts"
import { noteSchema, settled, useFlock } from "./room-flock.ts"

beforeAll(() => addRxPlugin(RxDBcrdtPlugin))

const flock = useFlock()

const creator = {
  schema: {
    ...noteSchema,
    properties: { ...noteSchema.properties, crdts: getCRDTSchemaPart<Record<string, unknown>>() },
    crdt: { field: "crdts" },
  },
} as const

const add = async (collection: RxCollection, rank: number): Promise<RxDocument> => {
  const document = await collection.findOne("x").exec(true)
  return document.updateCRDT({ ifMatch: { $inc: { rank } } })
}

test("operations of all devices count, whoever was apart", async () => {
  const birds = [await flock.join({ creator }), await flock.join({ creator }), await flock.join({ creator })]
  await birds[0]?.collection.insert({ id: "x", text: "start", rank: 0 })
  await settled(birds)
  await Promise.all(birds.map(({ collection }, nth) => add(collection, 2 ** nth)))
  expect(await settled(birds)).toMatchObject({ x: { text: "start", rank: 7 } })
  await Promise.all(birds.map(({ collection }) => add(collection, 10)))
  expect(await settled(birds)).toMatchObject({ x: { text: "start", rank: 37 } })
})

test.each(["deletion", "edit"])(
  "a deletion beats an edit made apart, where the %s is the later one",
  async (later) => {
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator })]
    const reports: ReplicaReport[] = []
    for (const { handle } of [a, b]) handle.error$.subscribe((report) => reports.push(report))
    await a.collection.bulkInsert([
      { id: "x", text: "start", rank: 0 },
      { id: "y", text: "stays" },
    ])
    await settled([a, b])
    await b.handle.close()
    const remove = async (): Promise<unknown> => (await a.collection.findOne("x").exec(true)).remove()
    const edit = (): Promise<unknown> => add(b.collection, 1)
    const [first, second] = later === "edit" ? [remove, edit] : [edit, remove]
    await first()
    await second()
    await b.room.replicate(rxdbReplica(b.collection))
    expect(await settled([a, b])).toEqual({ y: expect.objectContaining({ text: "stays" }) as unknown })
    expect(reports).toEqual([])
  },
)
