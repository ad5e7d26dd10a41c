// A first sync that takes documents for absent says and stores the same as one that reads their rows first.
import {
  type AttachedReplica,
  type Context,
  createState,
  deltaFor,
  EMPTY_REGISTER,
  encodeDelta,
  foldView,
  hashValue,
  hlcFromMillis,
  includesContext,
  type JoinOutcome,
  joinRegister,
  laterWins,
  needsFold,
  pushDelta,
  type RegisterState,
  type ReplicaHost,
  type ReplicaLinkStatus,
  summarizeRegister,
  wholeDelta,
  writeRegister,
} from "@dunlin/core"
import { createSeededRandom } from "@dunlin/core/testing"
import { createRxDatabase, type RxDatabase } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterEach, expect, test, vi } from "vitest"
import { somebody, stateHashes } from "../test/exchange.ts"
import { rxdbReplica, type RxdbHandle } from "./index.ts"

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, text: { type: "string" } },
  required: ["id"],
} as const

interface Entry {
  readonly key: string
  readonly delta: Uint8Array
}

const opened: { readonly database: RxDatabase; readonly attached: AttachedReplica }[] = []
afterEach(async () => {
  for (const { database, attached } of opened.splice(0)) {
    await attached.detach()
    await database.close()
  }
})

async function open() {
  const database = await createRxDatabase({
    name: `equal-${crypto.randomUUID()}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  const { notes } = await database.addCollections({ notes: { schema } })
  if (notes === undefined) throw new Error("no collection")
  const host: ReplicaHost = {
    roomTag: new Uint8Array(32),
    device: "00".repeat(32),
    changed() {},
    report() {},
    released() {},
    synced: () => Promise.resolve(),
    links: createState<ReadonlyMap<string, ReplicaLinkStatus>>(new Map()),
  }
  const attached: AttachedReplica<RxdbHandle> = await rxdbReplica(notes).attach(host)
  opened.push({ database, attached })
  return { notes, attached }
}
type Side = Awaited<ReturnType<typeof open>>

const START = hlcFromMillis(Date.now() - 1_000_000)
const KEYS = Array.from({ length: 45 }, (_, n) => `k${n}`)
/** So few documents at a time are always read. */
const FEW = 20

test.each([1, 2, 3, 4, 5, 6])("seed %i", async (seed) => {
  const random = createSeededRandom(`unread ${seed}`)
  const below = (limit: number): number => Math.floor(random.unit() * limit)
  let clock = 0
  const write = (seen: Context, isDeletion: boolean): RegisterState => {
    const dot = { incarnation: "abcd".charAt(below(4)).repeat(16), hlc: START + ++clock }
    const payload = isDeletion ? {} : { text: `text ${below(4)}` }
    return writeRegister(seen, dot, hashValue({ deleted: isDeletion, payload }))
  }
  const merge = async (a: RegisterState, b: RegisterState): Promise<RegisterState> => {
    const joined = joinRegister(a, wholeDelta(b))
    if (joined.type !== "joined") throw new Error(joined.type)
    const { state } = joined
    if (!needsFold(state)) return state
    return { ...state, view: (await foldView(state.siblings, { handler: laterWins })).view }
  }
  const one = (of: readonly RegisterState[]): RegisterState => of[below(of.length)] ?? EMPTY_REGISTER

  const seeded: Entry[] = []
  const entries: Entry[] = []
  for (const key of KEYS) {
    const states = [EMPTY_REGISTER]
    for (let n = 0; n < 7; n++) {
      const from = one(states)
      states.push(
        random.unit() < 0.6 ? write(from.context, random.unit() < 0.1) : await merge(from, one(states)),
      )
    }
    const own = one(states)
    const [sibling] = own.siblings
    // A record beside a row would have all rows read.
    if (own.siblings.length === 1 && sibling?.deleted === false && random.unit() < 0.5)
      seeded.push({ key, delta: encodeDelta(wholeDelta(own)) })
    const sent = one(states.filter(({ context }) => context.size > 0))
    const befores = states.filter(({ context }) => includesContext(sent.context, context))
    const deltas = [
      wholeDelta(sent),
      deltaFor(sent, summarizeRegister(one(states))),
      pushDelta(one(befores), sent),
    ]
    entries.push({ key, delta: encodeDelta(deltas[below(3)] ?? wholeDelta(sent)) })
  }

  const few = async ({ attached }: Side, list: readonly Entry[]): Promise<readonly JoinOutcome[]> => {
    const outcomes: JoinOutcome[] = []
    for (let at = 0; at < list.length; at += FEW)
      outcomes.push(...(await attached.join(list.slice(at, at + FEW), somebody)))
    return outcomes
  }
  const strangers = Array.from({ length: 40 }, (_, n) => ({
    key: `stranger ${n}`,
    delta: encodeDelta(wholeDelta(write(EMPTY_REGISTER.context, false))),
  }))
  const [unread, read] = [await open(), await open()]
  for (const side of [unread, read]) {
    await few(side, seeded)
    await side.attached.join(strangers, somebody)
  }
  const find = vi.spyOn(unread.notes.storageInstance.originalStorageInstance, "findDocumentsById")
  const outcomes = await unread.attached.join(entries, somebody)
  expect(find.mock.calls[0]?.[0].length).toBeLessThan(entries.length)
  expect(outcomes).toEqual(await few(read, entries))

  const shown = async ({ notes }: Side): Promise<ReadonlyMap<string, unknown>> =>
    new Map((await notes.find().exec()).map((document) => [document.primary, document.toJSON()]))
  const conflicts = ({ attached }: Side): ReadonlySet<string> =>
    new Set(attached.handle.recentConflicts().map(({ key }) => key))
  expect(await shown(unread)).toEqual(await shown(read))
  expect(conflicts(unread)).toEqual(conflicts(read))
  expect(await stateHashes(unread.attached)).toEqual(await stateHashes(read.attached))
})
