import {
  createState,
  type EntryChange,
  type ReplicaHost,
  type ReplicaLinkStatus,
  type ReplicaReport,
} from "@dunlin/core"
import {
  createRxDatabase,
  type RxCollection,
  type RxConflictHandler,
  type RxDatabase,
} from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { pullEntries, stateHashes } from "../test/exchange.ts"
import { rxdbReplica, type RxdbReplicaOptions } from "./index.ts"

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, text: { type: "string" } },
  required: ["id"],
} as const

let database: RxDatabase
beforeEach(async () => {
  const storage = getRxStorageMemory()
  database = await createRxDatabase({ name: crypto.randomUUID(), storage, multiInstance: false })
})
afterEach(async () => {
  vi.useRealTimers()
  await database.close()
})

type Handler = RxConflictHandler<{ readonly text?: string }>

/** Both texts of two edits made apart. */
const conflictHandler: { -readonly [P in keyof Handler]: Handler[P] } = {
  isEqual: (a, b) => a.text === b.text,
  resolve: ({ realMasterState: a, newDocumentState: b }) =>
    Promise.resolve({ ...b, text: [a.text, b.text].sort().join(" + ") }),
}

async function collectionOf(name: string, ids: readonly string[]): Promise<RxCollection> {
  const { [name]: collection } = await database.addCollections({ [name]: { schema, conflictHandler } })
  await collection?.bulkInsert(ids.map((id) => ({ id, text: "text" })))
  return collection as RxCollection
}

async function attach(collection: RxCollection, options: RxdbReplicaOptions = {}) {
  const reports: ReplicaReport[] = []
  const changed: EntryChange[] = []
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed: (changes) => void changed.push(...changes),
    report: (report) => void reports.push(report),
    released: () => void attached.detach(),
    synced: () => Promise.resolve(),
    links: createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map()),
  }
  const attached = await rxdbReplica(collection, options).attach(host)
  const late = (): number => reports.filter(({ reason }) => reason.includes("no answer within 10 s")).length
  return { attached, changed, late }
}

/** Never answers for most documents. */
const modifier = (document: Record<string, unknown>): unknown =>
  String(document["id"]).startsWith("stuck") ? new Promise(() => {}) : document

const ids = [...Array.from({ length: 100 }, (_, n) => `stuck${n}`), "fine"]

/** The result of `work`, which must settle within this many seconds of fake time. */
async function within<T>(seconds: number, work: () => Promise<T>): Promise<T> {
  if (!vi.isFakeTimers()) vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  const done = work()
  let isDone = false
  const settled = (): void => void (isDone = true)
  done.then(settled, settled)
  for (let second = 0; second < seconds && !isDone; second++) await vi.advanceTimersByTimeAsync(1_000)
  expect(isDone).toBe(true)
  return done
}

describe("a modifier that never answers", () => {
  test("keeps its documents on this device, and is waited for once and not once a document", async () => {
    const { attached, late } = await attach(await collectionOf("a", ids), { push: { modifier } })
    expect([...(await within(15, () => stateHashes(attached))).keys()]).toEqual(["fine"])
    expect(late()).toBe(100)
  })

  test("is asked again after pauses that grow", async () => {
    const collection = await collectionOf("a", [])
    let asked = 0
    const counted = (document: Record<string, unknown>): unknown => {
      asked++
      return modifier(document)
    }
    await attach(collection, { push: { modifier: counted } })
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
    const inserting = collection.insert({ id: "stuck", text: "text" })
    for (let second = 0; second < 300; second++) await vi.advanceTimersByTimeAsync(1_000)
    await inserting
    // With constant pauses of five seconds, it would be twenty times.
    expect(asked).toBeGreaterThan(3)
    expect(asked).toBeLessThan(10)
  })

  test("costs ten seconds once, and not every batch with its document", async () => {
    const from = await attach(await collectionOf("a", ids))
    const collection = await collectionOf("b", ["stuck"])
    const { attached } = await attach(collection, { push: { modifier } })
    await within(15, () => stateHashes(attached))
    await within(15, async () => {
      for (const id of ids.slice(0, 40)) await pullEntries(attached, from.attached, [id, "stuck"])
    })
    expect(await collection.count().exec()).toBe(41)
  })

  test("costs ten seconds once where a peer goes on writing its document", async () => {
    const written = await collectionOf("a", ["stuck"])
    const [from, to] = [
      await attach(written),
      await attach(await collectionOf("b", []), { pull: { modifier } }),
    ]
    await within(15, async () => {
      for (let version = 0; version < 20; version++) {
        await (await written.findOne("stuck").exec(true)).patch({ text: `version ${version}` })
        expect(await pullEntries(to.attached, from.attached, ["stuck"])).toMatchObject([{ type: "refused" }])
      }
    })
  })

  test("is not one that answers late: its answer is used, and it is not asked again for the same", async () => {
    let asked = 0
    const late = (document: Record<string, unknown>): unknown => {
      asked++
      return new Promise((resolve) => setTimeout(() => resolve(document), 12_000))
    }
    const { attached } = await attach(await collectionOf("a", ["x"]), { push: { modifier: late } })
    await within(15, () => stateHashes(attached))
    await vi.advanceTimersByTimeAsync(5_000)
    expect([...(await within(1, () => stateHashes(attached))).keys()]).toEqual(["x"])
    expect(asked).toBe(1)
  })

  test("leaves out what comes, all of it at once", async () => {
    const from = await attach(await collectionOf("a", ids))
    const to = await attach(await collectionOf("b", []), { pull: { modifier } })
    const outcomes = await within(15, () => pullEntries(to.attached, from.attached, ids))
    expect(outcomes.map(({ type }) => type)).toEqual(ids.map((id) => (id === "fine" ? "joined" : "refused")))
    expect(to.late()).toBe(100)
  })

  test("is not one that answers one by one, as a single worker does", async () => {
    // Each of them takes a moment, and all together more than ten seconds.
    let tail: Promise<unknown> = Promise.resolve()
    const oneByOne = (document: Record<string, unknown>): unknown => {
      const answer = tail.then(() => new Promise((resolve) => setTimeout(() => resolve(document), 200)))
      tail = answer
      return answer
    }
    const warnings: string[] = []
    const heard = ({ message }: Error): void => void warnings.push(message)
    process.on("warning", heard)
    const from = await attach(await collectionOf("a", ids), { push: { modifier: oneByOne } })
    expect((await within(60, () => stateHashes(from.attached))).size).toBe(ids.length)
    const to = await attach(await collectionOf("b", []), { pull: { modifier: oneByOne } })
    const outcomes = await within(60, () => pullEntries(to.attached, from.attached, ids))
    expect(outcomes.map(({ type }) => type)).toEqual(ids.map(() => "joined"))
    expect(from.late() + to.late()).toBe(0)
    process.off("warning", heard)
    expect(warnings).toEqual([])
  })

  test("keeps what it was asked about until it answers, whatever comes of the same document", async () => {
    let isStuck = true
    const sometimes = (document: Record<string, unknown>): unknown =>
      isStuck && String(document["text"]).startsWith("of a") ? new Promise(() => {}) : document
    const [a, b] = [await collectionOf("a", []), await collectionOf("b", [])]
    const [here, there] = [await attach(a, { push: { modifier: sometimes } }), await attach(b)]
    const write = async (to: RxCollection, text: string): Promise<unknown> =>
      (await to.findOne("x").exec(true)).patch({ text })
    const shown = async (): Promise<unknown> => (await a.findOne("x").exec(true)).text
    await a.insert({ id: "x", text: "first" })
    await here.attached.flush?.()
    await pullEntries(there.attached, here.attached, ["x"])
    await within(100, () => write(a, "of a, first"))
    await within(100, () => write(b, "of b"))
    await within(100, () => pullEntries(here.attached, there.attached, ["x"]))
    expect(await shown()).toBe("of a, first")
    // Who writes now has not seen what came either.
    await within(100, () => write(a, "of a"))
    isStuck = false
    await within(100, async () => here.attached.flush?.())
    expect(await shown()).toBe("of a + of b")
    await within(100, () => pullEntries(there.attached, here.attached, ["x"]))
    expect((await b.findOne("x").exec(true)).text).toBe("of a + of b")
  })

  test("shows what came meanwhile also when it answers only after the next start", async () => {
    let isStuck = true
    const sometimes = (document: Record<string, unknown>): unknown =>
      isStuck && document["text"] === "of a" ? new Promise(() => {}) : document
    const [a, b] = [await collectionOf("a", []), await collectionOf("b", ["x"])]
    const [here, there] = [await attach(a, { push: { modifier: sometimes } }), await attach(b)]
    const write = async (to: RxCollection, text: string): Promise<unknown> =>
      (await to.findOne("x").exec(true)).patch({ text })
    await pullEntries(here.attached, there.attached, ["x"])
    await within(100, () => write(a, "of a"))
    await within(100, () => write(b, "of b"))
    await within(100, () => pullEntries(here.attached, there.attached, ["x"]))
    await within(100, () => here.attached.detach())
    isStuck = false
    const again = await within(100, () => attach(a, { push: { modifier: sometimes } }))
    await within(100, () => stateHashes(again.attached))
    expect((await a.findOne("x").exec(true)).text).toBe("of a + of b")
  })
})

test("a document on which push.modifier throws no more is reported, whoever reads it first", async () => {
  let isBroken = true
  const sometimes = (document: Record<string, unknown>): unknown => {
    if (isBroken) throw new Error("not ready")
    return document
  }
  const collection = await collectionOf("a", [])
  const { attached, changed } = await attach(collection, { push: { modifier: sometimes } })
  await collection.insert({ id: "x", text: "of a" })
  await attached.flush?.()
  isBroken = false
  const before = changed.length
  // A peer asks about it.
  await attached.summarize(["x"])
  await attached.flush?.()
  const told = changed
    .slice(before)
    .map(({ key, stateHash }) => [key, Buffer.from(stateHash ?? []).toString("hex")])
  expect(told).toEqual([...(await stateHashes(attached))])
  await attached.detach()
})

describe("a conflict handler that never answers", () => {
  test("keeps no collection from leaving, and what it was asked to merge is merged after the next start", async () => {
    const [a, b] = [await collectionOf("a", ["x"]), await collectionOf("b", [])]
    const [here, there] = [await attach(a), await attach(b)]
    await pullEntries(there.attached, here.attached, ["x"])
    for (const [collection, text] of [
      [a, "of a"],
      [b, "of b"],
    ] as const)
      await (await collection.findOne("x").exec(true)).patch({ text })
    await Promise.all([here.attached.flush?.(), there.attached.flush?.()])
    const { resolve } = conflictHandler
    let asked = (): void => {}
    const isAsked = new Promise<void>((done) => (asked = done))
    conflictHandler.resolve = () => {
      asked()
      return new Promise(() => {})
    }
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
    const joining = pullEntries(here.attached, there.attached, ["x"]).catch(String)
    await isAsked
    await within(1, () => here.attached.detach())
    expect(await joining).toContain("the room was left")
    conflictHandler.resolve = resolve
    const again = await attach(a)
    await within(1, () => pullEntries(again.attached, there.attached, ["x"]))
    expect((await a.findOne("x").exec(true)).text).toBe("of a + of b")
  })
})
