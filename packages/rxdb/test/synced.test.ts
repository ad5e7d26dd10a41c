import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { contents, createFlock, settled } from "./room-flock.ts"

let flock: ReturnType<typeof createFlock>
beforeEach(() => {
  flock = createFlock()
})
afterEach(() => flock.close())

const keys = Array.from({ length: 300 }, (_, n) => `n${n}`)

describe("synced()", () => {
  test("covers every write that was complete before it, however busy the replica is", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    await b.collection.insert({ id: "of-b", text: "from the other side" })
    await a.collection.bulkInsert(keys.map((id) => ({ id, text: "first" })))
    await settled([a, b])
    // Removals go through the queue, and so does all that is written while it works.
    await a.collection.bulkRemove(keys.slice(0, 100))
    await a.collection.bulkUpsert(keys.slice(100, 200).map((id) => ({ id, text: "second" })))
    await a.collection.insert({ id: "last", text: "last" })
    await a.collection.bulkRemove(keys.slice(200, 220))
    await a.room.synced()
    await a.room.close()
    const there = await contents(b.collection)
    expect(Object.keys(there)).toHaveLength(300 - 120 + 2)
    expect(there).toMatchObject({ last: { text: "last" }, n150: { text: "second" } })
  })

  test("with writes that cross those of the other side", async () => {
    const [a, b] = [await flock.join(), await flock.join()]
    await a.collection.bulkInsert(keys.map((id) => ({ id, text: "start" })))
    await settled([a, b])
    for (let round = 0; round < 5; round++) {
      const crossing = b.collection.bulkUpsert(keys.slice(0, 50).map((id) => ({ id, text: `b${round}` })))
      await a.collection.bulkUpsert(keys.slice(50, 100).map((id) => ({ id, text: `a${round}` })))
      await a.collection.bulkRemove([`n${299 - round}`])
      await a.handle.synced()
      const there = await contents(b.collection)
      expect(there).toMatchObject({ n70: { text: `a${round}` } })
      expect(there).not.toHaveProperty(`n${299 - round}`)
      await crossing
    }
  })
})
