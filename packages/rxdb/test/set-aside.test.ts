// Documents of this device that cannot be shared as they are: what peers write meanwhile must not replace them.
import type { RxCollection } from "rxdb/plugins/core"
import { describe, expect, test } from "vitest"
import { OVERLAP_MS } from "../src/collection-cursor.ts"
import { mergeFields, rxdbReplica } from "../src/index.ts"
import { partOf } from "../src/set-aside.ts"
import { openSidecar } from "../src/sidecar.ts"
import {
  type Bird,
  contents,
  createFlock,
  dexie,
  freshName,
  noteSchema,
  settled,
  until,
  useFlock,
  wait,
} from "./room-flock.ts"

const flock = useFlock()

/** Both texts of two edits made apart. */
const conflictHandler = {
  isEqual: (a: { text?: unknown }, b: { text?: unknown }) => a.text === b.text,
  resolve: (input: { realMasterState: { text?: unknown }; newDocumentState: { text?: unknown } }) =>
    Promise.resolve({
      ...input.newDocumentState,
      text: [input.realMasterState.text, input.newDocumentState.text].map(String).toSorted().join(" + "),
    } as never),
}

const schema = {
  ...noteSchema,
  properties: { ...noteSchema.properties, due: {} },
} as const

const creator = { schema, conflictHandler }

/** A modifier that throws for what it was not made for, until the next version of the application. */
function buggyModifier() {
  let isFixed = false
  return {
    modifier: (document: Record<string, unknown>): unknown => {
      if (!isFixed && document["text"] === "of a") throw new Error("a bug")
      return document
    },
    fix: () => void (isFixed = true),
  }
}

const patch = async ({ collection }: Pick<Bird, "collection">, fields: object): Promise<void> => {
  await (await collection.findOne("x").exec(true)).patch(fields)
}
const shown = async ({ collection }: Pick<Bird, "collection">): Promise<unknown> =>
  (await collection.findOne("x").exec(true)).text

const unshareable = {
  "whose push.modifier throws": { text: "of a" },
  "with a NaN": { text: "of a", due: Number.NaN },
}

describe.each(Object.entries(unshareable))("an edit %s", (_, edit) => {
  const pair = async () => {
    const push = buggyModifier()
    const storage = dexie()
    const name = freshName()
    const a = await flock.join({ creator, storage, name, replica: "due" in edit ? {} : { push } })
    const b = await flock.join({ creator })
    await b.collection.insert({ id: "x", text: "start" })
    await settled([a, b])
    return { a, b, push, storage, name }
  }
  /** The edit of `a`, and then one of `b` that reaches `a`. */
  const edited = async () => {
    const made = await pair()
    const { a, b } = made
    await patch(a, edit)
    await until(() => a.handle.setAside.get().has("x"), "the edit to be set aside")
    await patch(b, { text: "of b" })
    await b.collection.insert({ id: "later", text: "of b" })
    await until(async () => "later" in (await contents(a.collection)), "what came after the edit of b")
    return made
  }

  test("is not replaced by what a peer writes, and merges with it once it can be shared", async () => {
    const { a, b, push } = await edited()
    expect(await shown(a)).toBe("of a")
    push.fix()
    await patch(a, { text: "of a", rank: 1, due: 0 })
    await until(async () => (await shown(b)) === "of a + of b", "the merge at the peer")
    expect(await shown(a)).toBe("of a + of b")
    expect(a.handle.setAside.get().size).toBe(0)
    await a.handle.synced()
  })

  test("is not replaced by an earlier state that a peer still has", async () => {
    const { a, b } = await pair()
    await patch(a, edit)
    await until(() => a.handle.setAside.get().has("x"), "the edit to be set aside")
    await b.room.close()
    const again = await flock.openRoom()
    await again.replicate(rxdbReplica(b.collection))
    await b.collection.insert({ id: "later", text: "of b" })
    await until(async () => "later" in (await contents(a.collection)), "what came when the two met again")
    expect(await shown(a)).toBe("of a")
  })

  test("is known after a restart, and shared as soon as that is possible", async () => {
    const { a, b, push, storage, name } = await edited()
    await a.room.close()
    await a.database.close()
    const back = await flock.join({ creator, storage, name, replica: "due" in edit ? {} : { push } })
    expect([...back.handle.setAside.get().keys()]).toEqual(["x"])
    expect(await shown(back)).toBe("of a")
    if ("due" in edit) return
    push.fix()
    await until(async () => (await shown(b)) === "of a + of b", "the merge at the peer")
    expect(await shown(back)).toBe("of a + of b")
    expect(back.handle.setAside.get().size).toBe(0)
  })

  test("is what synced() waits for in vain, and says so", async () => {
    const { a, b } = await edited()
    await expect(a.handle.synced()).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining('"x"') as string,
    })
    await expect(a.handle.synced({ keys: ["x"] })).rejects.toMatchObject({ code: "refused" })
    await expect(a.room.synced()).rejects.toMatchObject({ code: "refused" })
    await a.handle.synced({ keys: ["later"] })
    await a.handle.synced({ peers: 0 })
    await a.room.synced({ peers: 0 })
    await b.handle.synced()
  })
})

test("all are shared by a repaired application, also if the stored list is damaged or too short for them", async () => {
  const damageList = async ({ collection }: Bird): Promise<void> => {
    const sidecar = await openSidecar(collection)
    await sidecar.put(new Map([[partOf("of-0"), "{"]]))
    await sidecar.close()
  }
  /** More than one part of the list has room for. */
  const many: string[] = []
  for (let index = 0; many.length < 1_001; index++)
    if (partOf(`of-${index}`) === partOf("of-0")) many.push(`of-${index}`)

  const sharedAfter = async (
    ids: readonly string[],
    between: (bird: Bird) => Promise<void>,
  ): Promise<number> => {
    const { modifier, fix } = buggyModifier()
    const own = { creator, storage: dexie(), name: freshName(), replica: { push: { modifier } } }
    const peers = createFlock()
    const peer = await peers.join({ creator })
    const first = await peers.join(own)
    await first.collection.bulkInsert(ids.map((id) => ({ id, text: "of a" })))
    await until(() => first.handle.setAside.get().size === ids.length, "all to be set aside")
    await first.room.close()
    await first.database.close()
    // The next scan then ends after them, and the one after it begins there.
    await wait(OVERLAP_MS)
    const second = await peers.join(own)
    await second.handle.close()
    await between(second)
    await second.room.close()
    await second.database.close()
    fix()
    const third = await peers.join(own)
    await third.handle.synced()
    const shared = Object.keys(await contents(peer.collection)).length
    await peers.close()
    return shared
  }
  expect(await Promise.all([sharedAfter(["of-0"], damageList), sharedAfter(many, async () => {})])).toEqual([
    1, 1_001,
  ])
}, 120_000)

test("thousands are set aside in turns, and other work gets its own in between", async () => {
  const { handle, collection } = await flock.join({ creator, replica: { push: buggyModifier() } })
  const met = new Set<number>()
  const looking = setInterval(() => met.add(handle.setAside.get().size))
  const ids = Array.from({ length: 6_000 }, (_, n) => `n${n}`)
  await collection.bulkInsert(ids.map((id) => ({ id, text: "of a" })))
  await until(() => met.has(ids.length), "all to be set aside")
  clearInterval(looking)
  expect(met.size).toBeGreaterThan(2)
})

test("a document whose modifier does not answer is what synced() waits for in vain; the others are held", async () => {
  const modifier = (document: Record<string, unknown>): unknown =>
    document["id"] === "x" ? new Promise(() => {}) : document
  const a = await flock.join({ creator, replica: { push: { modifier } } })
  const b = await flock.join({ creator })
  await a.collection.insert({ id: "x", text: "of a" })
  await until(() => a.handle.setAside.get().has("x"), "the document to be set aside")
  await a.collection.insert({ id: "later", text: "of a" })
  await a.handle.synced({ keys: ["later"] })
  expect(Object.keys(await contents(b.collection))).toEqual(["later"])
  await expect(a.handle.synced()).rejects.toMatchObject({ code: "refused" })
  await expect(a.room.synced()).rejects.toMatchObject({ code: "refused" })
})

/** A modifier that keeps each document until it is let through. */
function gatekeeper() {
  const gates = new Map<unknown, () => void>()
  return {
    modifier: async (document: Record<string, unknown>): Promise<unknown> => {
      await new Promise<void>((resolve) => gates.set(document["id"], resolve))
      return document
    },
    reached: (id: string) => until(() => gates.has(id), `${id} to arrive`),
    open: (id: string) => gates.get(id)?.(),
  }
}

test.each(["handle", "room"] as const)(
  "synced() of the %s waits for a document that can be shared while it waits for others",
  async (which) => {
    const push = buggyModifier()
    const gate = gatekeeper()
    const a = await flock.join({ creator, replica: { push } })
    const b = await flock.join({ creator, replica: { pull: { modifier: gate.modifier } } })
    await a.collection.insert({ id: "x", text: "of a" })
    await until(() => a.handle.setAside.get().has("x"), "the document to be set aside")
    await a.collection.insert({ id: "first", text: "first" })
    await gate.reached("first")
    gate.open("first")
    await a.handle.synced({ keys: ["first"] })
    await a.collection.insert({ id: "later", text: "later" })
    const held = a[which].synced().then(() => contents(b.collection))
    await gate.reached("later")
    push.fix()
    await patch(a, { rank: 1 })
    await until(() => a.handle.setAside.get().size === 0, "the document to be shared")
    gate.open("later")
    await gate.reached("x")
    // Longer than it takes to confirm the other one.
    await wait(200)
    gate.open("x")
    expect(Object.keys(await held)).toEqual(["first", "later", "x"])
  },
)

test("what was not answered before the room was left is not listed, and shared by the next", async () => {
  const own = { creator, storage: dexie(), name: freshName() }
  let isAsked = false
  const modifier = (): Promise<never> => {
    isAsked = true
    return new Promise(() => {})
  }
  const first = await flock.join({ ...own, replica: { push: { modifier } } })
  await first.collection.insert({ id: "x", text: "of a" })
  await until(() => isAsked, "the question")
  await first.room.close()
  expect(first.handle.setAside.get().size).toBe(0)
  await first.database.close()
  const b = await flock.join({ creator })
  const again = await flock.join({ ...own, replica: { push: { modifier: (document) => document } } })
  expect(again.handle.setAside.get().size).toBe(0)
  await again.handle.synced()
  expect(await shown(b)).toBe("of a")
})

const fieldwise = { creator: { schema, conflictHandler: mergeFields() } }

test("an edit that cannot be shared keeps its clocks, field by field", async () => {
  const [a, b] = [await flock.join(fieldwise), await flock.join(fieldwise)]
  await a.collection.insert({ id: "x", text: "start", done: false, rank: 1 })
  await settled([a, b])
  await patch(a, { text: "of a", due: Number.NaN })
  await until(() => a.handle.setAside.get().has("x"), "the edit to be set aside")
  await patch(b, { done: true, text: "of b, earlier" })
  // Clocks of two devices are ordered from one millisecond to the next.
  await wait(5)
  await patch(a, { text: "of a, later", due: Number.NaN })
  await patch(b, { rank: 2 })
  await patch(a, { due: 0 })
  expect(await settled([a, b])).toEqual({ x: { id: "x", text: "of a, later", done: true, rank: 2, due: 0 } })
})

test("so does the first edit of a document that is older than Dunlin", async () => {
  const before = (collection: RxCollection) => collection.insert({ id: "x", text: "start", rank: 1 })
  const [a, b] = [await flock.join({ ...fieldwise, before }), await flock.join({ ...fieldwise, before })]
  await settled([a, b])
  await patch(a, { text: "of a", due: Number.NaN })
  await until(() => a.handle.setAside.get().has("x"), "the edit to be set aside")
  await patch(b, { rank: 2 })
  await patch(a, { due: 0 })
  expect(await settled([a, b])).toEqual({ x: { id: "x", text: "of a", rank: 2, due: 0 } })
})

test("so does a new document", async () => {
  const [a, b] = [await flock.join(fieldwise), await flock.join(fieldwise)]
  await b.room.close()
  await b.collection.insert({ id: "x", text: "the earlier one" })
  await wait(5)
  await a.collection.insert({ id: "x", text: "of a", due: Number.NaN })
  await until(() => a.handle.setAside.get().has("x"), "the document to be set aside")
  await patch(a, { due: 0 })
  await (await flock.openRoom()).replicate(rxdbReplica(b.collection))
  expect(await settled([a, b])).toEqual({ x: { id: "x", text: "of a", due: 0 } })
})
