import { createRxDatabase, type RxChangeEventBulk } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { merge, Subject } from "rxjs"
import { afterEach, expect, it, vi } from "vitest"
import { createLiveList } from "./live-list.ts"

interface Row {
  id: string
  rank: string
}

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

async function createRows() {
  const database = await createRxDatabase({
    name: `live-list-${Date.now()}-${opened.length}`,
    storage: getRxStorageMemory(),
  })
  opened.push(database)
  const { rows } = await database.addCollections<{ rows: import("rxdb").RxCollection<Row> }>({
    rows: {
      schema: {
        version: 0,
        primaryKey: "id",
        type: "object",
        properties: { id: { type: "string", maxLength: 20 }, rank: { type: "string" } },
        required: ["id", "rank"],
      },
    },
  })
  const follow = (collection = rows) => {
    const list = createLiveList(collection, {
      read: (raw) => ({ id: String(raw["id"]), rank: String(raw["rank"]) }),
      compare: (a, b) => (a.rank === b.rank ? Number(a.id > b.id) - 0.5 : a.rank < b.rank ? -1 : 1),
    })
    opened.push(list)
    return list
  }
  return { rows, follow }
}

it("holds what is there in order, and follows inserts, moves and removals", async () => {
  const { rows, follow } = await createRows()
  await rows.bulkInsert(["c", "a", "b"].map((rank) => ({ id: `id-${rank}`, rank })))
  const list = follow()
  const ranks = (): string => (list.get() ?? []).map(({ rank }) => rank).join("")
  expect((await list.ready()).map(({ rank }) => rank).join("")).toBe("abc")
  await rows.insert({ id: "new", rank: "bb" })
  await rows.findOne("id-a").incrementalPatch({ rank: "d" })
  await rows.findOne("id-c").remove()
  await vi.waitFor(() => expect(ranks()).toBe("bbbd"))
  await rows.insert({ id: "id-c", rank: "0" })
  await vi.waitFor(() => expect(ranks()).toBe("0bbbd"))
})

it("misses nothing that is written while it reads", async () => {
  const { rows, follow } = await createRows()
  await rows.bulkInsert(Array.from({ length: 300 }, (_, n) => ({ id: `old-${n}`, rank: `a${n}` })))
  const list = follow()
  await Promise.all(Array.from({ length: 40 }, (_, n) => rows.insert({ id: `new-${n}`, rank: `b${n}` })))
  await rows.findOne("old-7").remove()
  await vi.waitFor(() => expect(list.get()).toHaveLength(339))
  const all = (await rows.find().exec()).map(({ id }) => id)
  expect(
    list
      .get()
      ?.map(({ id }) => id)
      .toSorted(),
  ).toEqual(all.toSorted())
})

it("shows a burst of changes in a few steps, and keeps entries that did not change", async () => {
  const { rows, follow } = await createRows()
  await rows.bulkInsert(Array.from({ length: 100 }, (_, n) => ({ id: `id-${n}`, rank: `a${n}` })))
  const list = follow()
  const before = await list.ready()
  let steps = 0
  list.subscribe(() => steps++)
  await Promise.all(Array.from({ length: 200 }, (_, n) => rows.insert({ id: `new-${n}`, rank: `b${n}` })))
  await vi.waitFor(() => expect(list.get()).toHaveLength(300))
  expect(steps).toBeLessThan(50)
  const after = new Set(list.get())
  expect(before.every((entry) => after.has(entry))).toBe(true)
})

it("believes no event that comes after a newer one, as those of other tabs may", async () => {
  const { rows, follow } = await createRows()
  const late = new Subject<RxChangeEventBulk<Row>>()
  const events = merge(rows.eventBulks$, late)
  const list = follow(Object.create(rows, { eventBulks$: { value: events } }) as typeof rows)
  const bulks: RxChangeEventBulk<Row>[] = []
  const end = rows.eventBulks$.subscribe((bulk) => bulks.push(bulk))
  const row = await rows.insert({ id: "one", rank: "a" })
  await row.incrementalPatch({ rank: "b" })
  await row.incrementalPatch({ rank: "c" })
  end.unsubscribe()
  const rank = (): string | undefined => list.get()?.[0]?.rank
  await vi.waitFor(() => expect(rank()).toBe("c"))
  for (const bulk of bulks.slice(0, 2)) late.next(bulk)
  await rows.insert({ id: "two", rank: "d" })
  await vi.waitFor(() => expect(list.get()).toHaveLength(2))
  expect(rank()).toBe("c")
})
