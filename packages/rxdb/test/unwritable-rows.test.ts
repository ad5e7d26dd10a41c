// A storage that takes the record of a join but then refuses its row, like a disk that fills up.
import type { RxStorage } from "rxdb/plugins/core"
import { describe, expect, test } from "vitest"
import { mergeFields, rxdbReplica } from "../src/index.ts"
import { type Bird, contents, memory, settled, settledAs, until, useFlock } from "./room-flock.ts"

const flock = useFlock()

interface FullDisk {
  readonly storage: RxStorage<unknown, unknown>
  /** Refuses the next write that is not the application's. */
  fill(): void
  readonly refused: number
}

function fullDisk(): FullDisk {
  const inner = memory()
  let isFull = false
  let refused = 0
  return {
    storage: {
      ...inner,
      async createStorageInstance(parameters) {
        const instance = await inner.createStorageInstance(parameters)
        if (parameters.collectionName !== "notes") return instance
        const bulkWrite = instance.bulkWrite.bind(instance)
        instance.bulkWrite = async (rows, context) => {
          if (!isFull || context !== "dunlin-join") return bulkWrite(rows, context)
          isFull = false
          refused++
          throw new Error("QuotaExceededError")
        }
        return instance
      },
    },
    fill: () => void (isFull = true),
    get refused() {
      return refused
    },
  }
}

describe("a row that could not be written once is shown in the end", () => {
  const pair = async (): Promise<{ readonly a: Bird; readonly b: Bird; readonly disk: FullDisk }> => {
    const creator = { conflictHandler: mergeFields() }
    const disk = fullDisk()
    const [a, b] = [await flock.join({ creator }), await flock.join({ creator, storage: disk.storage })]
    await a.collection.bulkInsert([
      { id: "x", text: "start" },
      { id: "y", text: "start" },
    ])
    await settled([a, b])
    return { a, b, disk }
  }

  /** Both write one document at the same time, in different fields. */
  const disagree = async (a: Bird, b: Bird, key: string): Promise<void> => {
    const [ours, theirs] = [
      await a.collection.findOne(key).exec(true),
      await b.collection.findOne(key).exec(true),
    ]
    await Promise.all([theirs.patch({ text: "of b" }), ours.patch({ rank: 7 })])
  }

  // Several runs: whether the peer compares roots before or after differs.
  test.each([1, 2, 3])("of a document that a peer deleted (%i)", async () => {
    const { a, b, disk } = await pair()
    disk.fill()
    await (await a.collection.findOne("x").exec(true)).remove()
    await until(() => disk.refused > 0, "the refusal")
    await settledAs([a.collection, b.collection], { y: { id: "y", text: "start" } })
  })

  test("of a conflict, also with another one behind it", async () => {
    const { a, b, disk } = await pair()
    disk.fill()
    await disagree(a, b, "x")
    await until(() => disk.refused > 0, "the refusal")
    await disagree(a, b, "y")
    const merged = (id: string): object => ({ id, text: "of b", rank: 7 })
    await settledAs([a.collection, b.collection], { x: merged("x"), y: merged("y") })
  })

  test("at the next start, where there was no time before", async () => {
    const { a, b, disk } = await pair()
    disk.fill()
    await disagree(a, b, "x")
    await until(() => disk.refused > 0, "the refusal")
    await b.handle.close()
    const shown = async (): Promise<unknown> => (await contents(b.collection))["x"]
    expect(await shown()).not.toMatchObject({ text: "of b", rank: 7 })
    await b.room.replicate(rxdbReplica(b.collection))
    await until(async () => JSON.stringify(await shown()).includes(`"rank":7`), "the merge")
  })
})
