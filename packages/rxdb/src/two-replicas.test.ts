import {
  type AttachedReplica,
  createState,
  type EntryChange,
  type JoinOutcome,
  type ReplicaHost,
  type ReplicaLinkStatus,
} from "@dunlin/core"
import {
  createRxDatabase,
  type RxCollection,
  type RxConflictHandler,
  type RxDatabase,
} from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, describe, expect, test, vi } from "vitest"
import { pullEntries, somebody, stateHashes } from "../test/exchange.ts"
import { rxdbReplica } from "./index.ts"

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, text: { type: "string" }, n: { type: "number" } },
  required: ["id"],
} as const

interface Todo {
  id: string
  text?: string
}

const databases: RxDatabase[] = []
afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.close()))
})

let counter = 0
async function peer(conflictHandler?: RxConflictHandler<Todo>) {
  const database = await createRxDatabase({
    name: `p${counter++}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  databases.push(database as never)
  const { todos } = await database.addCollections({
    todos: { schema, ...(conflictHandler && { conflictHandler }) },
  })
  return todos as RxCollection
}

async function attach(collection: RxCollection) {
  const changes: EntryChange[] = []
  const reports: unknown[] = []
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed: (list) => void changes.push(...list),
    report: (report) => void reports.push(report),
    released: () => void attached.detach(),
    synced: () => Promise.resolve(),
    links: createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map()),
  }
  const attached: AttachedReplica = await rxdbReplica(collection).attach(host)
  return { attached, changes, reports }
}
type Side = Awaited<ReturnType<typeof attach>>

async function sync(a: Side, b: Side): Promise<number> {
  let rounds = 0
  for (; rounds < 10; rounds++) {
    const [left, right] = [await stateHashes(a.attached), await stateHashes(b.attached)]
    const keys = [...new Set([...left.keys(), ...right.keys()])].filter(
      (key) => left.get(key) !== right.get(key),
    )
    if (keys.length === 0) return rounds
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const outcomes = await pullEntries(to.attached, from.attached, keys)
      for (const outcome of outcomes) expect(outcome.type).toBe("joined")
    }
  }
  throw new Error("did not settle")
}

describe("two replicas", () => {
  test("exchange documents, edits and deletions, and settle conflicts", async () => {
    const [a, b] = [await peer(), await peer()]
    const [left, right] = [await attach(a), await attach(b)]
    await a.bulkInsert(Array.from({ length: 50 }, (_, n) => ({ id: `a${n}`, text: "from a", n })))
    await b.insert({ id: "b0", text: "from b" })
    await sync(left, right)
    expect((await a.find().exec()).length).toBe(51)
    expect((await b.find().exec()).length).toBe(51)

    await (await a.findOne("a3").exec(true)).patch({ text: "edited by a" })
    // The same millisecond would leave the order to chance.
    await new Promise((resolve) => setTimeout(resolve, 5))
    await (await b.findOne("a3").exec(true)).patch({ text: "edited by b" })
    await (await b.findOne("a4").exec(true)).remove()
    await sync(left, right)
    expect((await a.findOne("a3").exec(true)).text).toBe("edited by b")
    expect((await b.findOne("a3").exec(true)).text).toBe("edited by b")
    expect(await a.findOne("a4").exec()).toBeNull()

    await (await a.findOne("a3").exec(true)).patch({ text: "again" })
    await a.insert({ id: "a4", text: "back" })
    await sync(left, right)
    expect((await b.findOne("a3").exec(true)).text).toBe("again")
    expect((await b.findOne("a4").exec(true)).text).toBe("back")
    expect(left.reports).toEqual([])
    expect(right.reports).toEqual([])
  })

  test("hold equal states after importing the same documents on their own", async () => {
    const [a, b] = [await peer(), await peer()]
    const documents = Array.from({ length: 200 }, (_, n) => ({ id: `d${n}`, text: "same", n }))
    await a.bulkInsert(documents)
    await b.bulkInsert(documents)
    const [left, right] = [await attach(a), await attach(b)]
    expect(await sync(left, right)).toBe(0)
    await (await a.findOne("d7").exec(true)).patch({ text: "edited" })
    await sync(left, right)
    expect((await b.findOne("d7").exec(true)).text).toBe("edited")
  })

  test("report local writes with what a peer needs, also once there are tombstones", async () => {
    const a = await peer()
    const { attached, changes } = await attach(a)
    await a.bulkInsert([
      { id: "x", text: "one" },
      { id: "y", text: "one" },
    ])
    const writes: readonly (() => Promise<unknown>)[] = [
      async () => (await a.findOne("y").exec(true)).remove(),
      () => a.insert({ id: "z", text: "new" }),
      async () => (await a.findOne("x").exec(true)).patch({ text: "two" }),
      async () => (await a.findOne("x").exec(true)).remove(),
    ]
    for (const write of writes) {
      await write()
      await attached.flush?.()
    }
    expect(changes.map(({ key, delta }) => [key, delta !== undefined])).toEqual([
      ["x", true],
      ["y", true],
      ["y", true],
      ["z", true],
      ["x", true],
      ["x", true],
    ])
    const lasts = new Map<string, Uint8Array | null>()
    for (const { key, before, stateHash } of changes) {
      expect(before).toEqual(lasts.get(key) ?? null)
      lasts.set(key, stateHash)
    }
  })

  /** Joins the whole documents as one batch. */
  const give = async (
    from: Side,
    to: Side,
    keys: readonly string[],
  ): Promise<ReadonlyMap<string, JoinOutcome>> => {
    const answers = await from.attached.read(
      keys.map((key) => ({ key, summary: NOTHING_HELD })),
      somebody,
    )
    const entries = answers.map((answer, at) => {
      if (answer.type !== "delta") throw new Error(`${keys[at]} was answered with ${answer.type}`)
      return { key: keys[at] ?? "", delta: answer.delta }
    })
    const outcomes = await to.attached.join(entries, somebody)
    return new Map(outcomes.map((outcome, at) => [keys[at] ?? "", outcome]))
  }

  test("a first sync looks for no rows once a batch has met none, until a document is edited", async () => {
    const [a, b] = [await peer(), await peer()]
    const [left, right] = [await attach(a), await attach(b)]
    const ids = names("d", 150)
    await a.bulkInsert(ids.map((id) => ({ id, text: "from a" })))
    const instance = b.storageInstance.originalStorageInstance
    const find = vi.spyOn(instance, "findDocumentsById")
    await give(left, right, ids.slice(0, 50))
    expect(find).toHaveBeenCalledTimes(1)
    await give(left, right, ids.slice(50, 100))
    await give(left, right, ids.slice(100))
    expect(find).toHaveBeenCalledTimes(1)
    expect(await sync(left, right)).toBe(0)
    expect((await b.find().exec()).length).toBe(150)
  })

  test("documents that a first sync took for absent lose no edit, deletion or earlier join", async () => {
    const union: RxConflictHandler<Todo> = {
      isEqual: (one, other) => one.text === other.text && one._deleted === other._deleted,
      resolve: ({ newDocumentState: mine, realMasterState: theirs }) => {
        const words = new Set([...(mine.text ?? "").split("|"), ...(theirs.text ?? "").split("|")])
        const text = [...words].toSorted().join("|")
        return Promise.resolve({ ...mine, text, _deleted: mine._deleted && theirs._deleted })
      },
    }
    const [a, b] = [await peer(union), await peer(union)]
    const [left, right] = [await attach(a), await attach(b)]
    const [fresh, edited, deleted, inserted, known] = (["f", "e", "d", "i", "k"] as const).map((letter) =>
      names(letter, 40),
    ) as [string[], string[], string[], string[], string[]]
    const insert = (into: RxCollection, ids: readonly string[], text: string): Promise<unknown> =>
      into.bulkInsert(ids.map((id) => ({ id, text })))
    await insert(a, [...fresh, ...edited, ...deleted, ...known], "first")
    // So few that they are no first sync.
    for (let at = 0; at < 40; at += 10)
      for (const list of [edited, deleted, known]) await give(left, right, list.slice(at, at + 10))
    await insert(b, inserted, "from b")
    await insert(a, inserted, "from a")
    for (const id of edited) {
      await (await a.findOne(id).exec(true)).patch({ text: "edited by a" })
      await (await b.findOne(id).exec(true)).patch({ text: "edited by b" })
    }
    await a.bulkRemove(deleted)

    await give(left, right, fresh)
    const outcomes = await give(left, right, [...edited, ...deleted, ...inserted, ...known])
    for (const { type } of outcomes.values()) expect(type).toBe("joined")
    for (const id of known) expect(outcomes.get(id)).toMatchObject({ changed: false })
    for (const id of [...edited, ...deleted, ...inserted])
      expect(outcomes.get(id)).toMatchObject({ changed: true })

    const texts = async (ids: readonly string[]): Promise<ReadonlySet<string | undefined>> => {
      const found = await b.findByIds([...ids]).exec()
      return new Set(ids.map((id) => found.get(id)?.get("text") as string | undefined))
    }
    expect(await texts(edited)).toEqual(new Set(["edited by a|edited by b"]))
    expect(await texts(inserted)).toEqual(new Set(["from a|from b"]))
    expect(await texts(deleted)).toEqual(new Set([undefined]))
    expect(await texts([...known, ...fresh])).toEqual(new Set(["first"]))
    await sync(left, right)
    expect(await stateHashes(left.attached)).toEqual(await stateHashes(right.attached))
    expect(right.reports).toEqual([])
  })
})

const NOTHING_HELD = new Uint8Array(0)

function names(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${letter}${n}`)
}
