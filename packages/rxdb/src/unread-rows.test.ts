// Rows that are there although a first sync took their documents for absent: see decision 0408.
import {
  type AttachedReplica,
  createState,
  decodeDelta,
  EMPTY_REGISTER,
  encodeDelta,
  hashValue,
  hlcFromMillis,
  type JoinOutcome,
  joinRegister,
  pushDelta,
  type RegisterState,
  type ReplicaHost,
  type ReplicaLinkStatus,
  stateHash,
  wholeDelta,
  writeRegister,
} from "@dunlin/core"
import { createRxDatabase, type RxCollection, type RxDatabase, type RxStorage } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv"
import { afterEach, expect, test } from "vitest"
import { somebody, stateHashes } from "../test/exchange.ts"
import { rxdbReplica, type RxdbHandle, type RxdbReplicaOptions } from "./index.ts"

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, text: { type: "string", maxLength: 20 } },
  required: ["id"],
} as const

const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() }) as unknown as RxStorage<
  unknown,
  unknown
>
const databases: RxDatabase[] = []
afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.close()))
})

let counter = 0

/** A collection that a first sync is filling, beside the documents that were put into it before. */
async function filling(own: readonly string[], options: RxdbReplicaOptions = {}) {
  const database = await createRxDatabase({ name: `unread${counter++}`, storage, multiInstance: false })
  databases.push(database)
  const { notes } = (await database.addCollections({ notes: { schema } })) as { notes: RxCollection }
  const reports: unknown[] = []
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed() {},
    report: (report) => void reports.push(report),
    released: () => void attached.detach(),
    synced: () => Promise.resolve(),
    links: createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map()),
  }
  const attached: AttachedReplica<RxdbHandle> = await rxdbReplica(notes, options).attach(host)
  for (const id of own) await notes.insert({ id, text: "here" })
  await attached.flush?.()
  await attached.join(strangers("first"), somebody)
  return {
    notes,
    attached,
    reports,
    /** Joins these entries amid so many others that the batch is one of a first sync. */
    async join(...entries: readonly Entry[]): Promise<readonly JoinOutcome[]> {
      const batch = [...strangers(`batch${counter++}`), ...entries]
      const outcomes = await attached.join(batch, somebody)
      for (const outcome of outcomes.slice(0, -entries.length))
        expect(outcome).toMatchObject({ type: "joined", changed: true, before: null })
      return outcomes.slice(-entries.length)
    },
    async stateOf(key: string): Promise<RegisterState> {
      const [answer] = await attached.read([{ key, summary: new Uint8Array(0) }], somebody)
      if (answer?.type !== "delta") throw new Error(`${key} cannot be read`)
      const joined = joinRegister(EMPTY_REGISTER, decodeDelta(answer.delta))
      if (joined.type !== "joined") throw new Error(joined.type)
      return joined.state
    },
    text: async (key: string): Promise<unknown> => (await notes.findOne(key).exec())?.get("text"),
  }
}

interface Entry {
  readonly key: string
  readonly delta: Uint8Array
}

/** Documents that are nowhere yet. */
function strangers(name: string): readonly Entry[] {
  return Array.from({ length: 40 }, (_, n) => whole(`${name}-${n}`, written("of a stranger")))
}

const EARLIER = hlcFromMillis(Date.now() - 60_000)
const LATER = hlcFromMillis(Date.now() + 60_000)
const AUTHOR = "aaaaaaaaaaaaaaaa"
const OTHER = "bbbbbbbbbbbbbbbb"

function written(
  text: string,
  { seen = EMPTY_REGISTER.context, author = AUTHOR, hlc = EARLIER } = {},
): RegisterState {
  return writeRegister(seen, { incarnation: author, hlc }, hashValue({ deleted: false, payload: { text } }))
}

function whole(key: string, state: RegisterState): Entry {
  return { key, delta: encodeDelta(wholeDelta(state)) }
}

test("an entry that contradicts the row is refused alone", async () => {
  const there = await filling([])
  await there.attached.join([whole("x", written("theirs"))], somebody)
  await (await there.notes.findOne("x").exec(true)).patch({ text: "here" })
  await there.attached.flush?.()
  await there.attached.join(strangers("more"), somebody)
  const { context } = await there.stateOf("x")
  await there.attached.join(strangers("still more"), somebody)
  const [outcome] = await there.join(whole("x", written("theirs", { seen: context })))
  expect(outcome).toMatchObject({ type: "refused", reason: expect.stringContaining("contradicts") })
  expect(await there.text("x")).toBe("here")
})

test("a conflict with the row is told, and the sender hears what it lacks", async () => {
  const there = await filling(["x"])
  const mine = await stateHashes(there.attached)
  await there.attached.join(strangers("more"), somebody)
  const [outcome] = await there.join(whole("x", written("theirs", { hlc: LATER })))
  if (outcome?.type !== "joined") throw new Error("not joined")
  expect(outcome.changed).toBe(true)
  expect(Buffer.from(outcome.before ?? []).toString("hex")).toBe(mine.get("x"))
  expect(outcome.senderLacks).not.toBeNull()
  expect(there.attached.handle.recentConflicts()).toMatchObject([{ key: "x", merged: { text: "theirs" } }])
})

test("a conflict that comes from elsewhere changes the row, and says so", async () => {
  const there = await filling(["x"])
  const mine = (await stateHashes(there.attached)).get("x")
  await there.attached.join(strangers("more"), somebody)
  const both = joinRegister(written("one"), wholeDelta(written("two", { author: OTHER, hlc: LATER })))
  if (both.type !== "joined") throw new Error(both.type)
  const view = both.state.siblings.at(-1) ?? null
  const [outcome] = await there.join(whole("x", { ...both.state, view }))
  if (outcome?.type !== "joined") throw new Error("not joined")
  expect(outcome.changed).toBe(true)
  expect(Buffer.from(outcome.before ?? []).toString("hex")).toBe(mine)
  expect(Buffer.from(outcome.stateHash ?? []).toString("hex")).toBe(
    (await stateHashes(there.attached)).get("x"),
  )
  expect((await there.stateOf("x")).siblings.length).toBe(3)
})

const TOO_LONG = "too long for the schema here"

test("what the schema refuses joins where the row shows another write of the two", async () => {
  const there = await filling(["x"])
  const [outcome] = await there.join(whole("x", written(TOO_LONG)))
  expect(outcome).toMatchObject({ type: "joined", changed: true })
  expect(await there.text("x")).toBe("here")
  expect(there.reports).toEqual([])
})

test("what the schema refuses is no news where the row has overwritten it", async () => {
  const there = await filling(["x"])
  const [[author, hlc] = ["", 0]] = (await there.stateOf("x")).context
  await (await there.notes.findOne("x").exec(true)).patch({ text: "edited" })
  await there.attached.flush?.()
  const mine = await there.stateOf("x")
  await there.attached.join(strangers("more"), somebody)
  const [outcome] = await there.join(whole("x", written(TOO_LONG, { author, hlc })))
  expect(outcome).toMatchObject({ type: "joined", changed: false, stateHash: stateHash(mine) })
  expect(there.reports).toEqual([])
})

test("an entry that builds on the row needs no second question", async () => {
  const there = await filling(["x"])
  const mine = await there.stateOf("x")
  const both = joinRegister(mine, wholeDelta(written("theirs", { hlc: LATER })))
  if (both.type !== "joined") throw new Error(both.type)
  const after = { ...both.state, view: both.state.siblings.at(-1) ?? null }
  await there.attached.join(strangers("more"), somebody)
  const [outcome] = await there.join({ key: "x", delta: encodeDelta(pushDelta(mine, after)) })
  expect(outcome).toMatchObject({ type: "joined", changed: true, stateHash: stateHash(after) })
  expect(await there.text("x")).toBe("theirs")
})

test("of several entries of one document, each says what it made of the one before", async () => {
  const there = await filling(["x"])
  const mine = stateHash(await there.stateOf("x"))
  await there.attached.join(strangers("more"), somebody)
  const [one, other] = await there.join(
    whole("x", written("theirs", { hlc: LATER })),
    whole("x", written("also theirs", { author: OTHER, hlc: LATER })),
  )
  if (one?.type !== "joined") throw new Error("not joined")
  expect(one).toMatchObject({ changed: true, before: mine })
  const after = stateHash(await there.stateOf("x"))
  expect(other).toMatchObject({ type: "joined", changed: true, before: one.stateHash, stateHash: after })
})

test("an entry that comes twice is news once", async () => {
  const there = await filling(["x"])
  const theirs = whole("x", written("theirs", { hlc: LATER }))
  const outcomes = await there.join(theirs, theirs)
  expect(outcomes).toMatchObject([{ changed: true }, { changed: false }])
  const after = stateHash(await there.stateOf("x"))
  for (const outcome of outcomes) expect(outcome).toMatchObject({ type: "joined", stateHash: after })
})

test("an edit made while a pull.modifier runs is passed on with the entry that it meets", async () => {
  let edit = async (): Promise<void> => {}
  const there = await filling(["x"], {
    pull: {
      async modifier(document) {
        if ((document as { text?: string }).text === "theirs") await edit()
        return { ...document, text: "modified" }
      },
    },
  })
  edit = async () => {
    edit = () => Promise.resolve()
    await (await there.notes.findOne("x").exec(true)).patch({ text: "edited" })
  }
  const { context: seen } = await there.stateOf("x")
  const [outcome] = await there.join(whole("x", written("theirs", { seen, hlc: LATER })))
  expect(outcome).toMatchObject({ type: "joined", changed: true, senderLacks: expect.any(Uint8Array) })
})

test("two writes of one document that is nowhere yet are both joined", async () => {
  const there = await filling([])
  await there.attached.join(strangers("more"), somebody)
  await there.join(
    whole("x", written("later", { author: OTHER, hlc: LATER })),
    whole("x", written("earlier", { hlc: EARLIER })),
  )
  expect((await there.stateOf("x")).siblings.length).toBe(2)
  expect(await there.text("x")).toBe("later")
})

test("what no peer may send is refused in a first sync as well", async () => {
  const there = await filling([])
  await there.attached.join(strangers("more"), somebody)
  const reserved = hashValue({ deleted: false, payload: { text: "theirs", _rev: "9-forged" } })
  const forged = writeRegister(EMPTY_REGISTER.context, { incarnation: AUTHOR, hlc: EARLIER }, reserved)
  const [outcome] = await there.join(whole("x", forged))
  expect(outcome).toMatchObject({ type: "refused", reason: expect.stringContaining("reserved field") })
  expect(await there.text("x")).toBeUndefined()
})
