import type { Clock, Millis } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import { type ReplicaReport, type JoinOutcome } from "../ports/replica.ts"
import type { Store } from "../ports/store.ts"
import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import { decodeDelta, decodeSummary, encodeDelta, encodeSummary } from "../protocol/register/codec.ts"
import { createDotMinter, type DotMinter } from "../protocol/register/dot-minter.ts"
import { type Context, type Dot, incarnationFromBytes, joinContexts } from "../protocol/register/dot.ts"
import type { JsonObject } from "../protocol/register/json.ts"
import { cloneJson } from "../protocol/register/json.ts"
import { advanceFields, mergeFieldValues } from "../protocol/register/merge-fields.ts"
import { RegisterError } from "../protocol/register/register-error.ts"
import {
  deltaFor,
  EMPTY_REGISTER,
  joinRegister,
  needsFold,
  pushDelta,
  type RegisterDelta,
  type RegisterState,
  shownValue,
  summarizeRegister,
  wholeDelta,
  writeRegister,
} from "../protocol/register/register.ts"
import { stateHash } from "../protocol/register/state-hash.ts"
import { type HashedValue, hashValue, type RegisterValue } from "../protocol/register/value.ts"
import { foldView, laterWins, type MergeHandler } from "../protocol/register/view.ts"

/** A write at the moment it is made, before it is durable, for a simulator to note. */
export interface MintedWrite {
  readonly key: string
  readonly dot: Dot
  readonly value: RegisterValue
  /** The writes that its author saw. */
  readonly seen: readonly Dot[]
}

/** The pure steps of the register, so that a test can plant a bug in one and see that it is noticed. */
export interface RegisterSteps {
  readonly write: typeof writeRegister
  readonly join: typeof joinRegister
  readonly deltaFor: typeof deltaFor
  readonly pushDelta: typeof pushDelta
  readonly stateHash: typeof stateHash
  readonly createMinter: typeof createDotMinter
  /** What a restart makes of a stored state. */
  readonly restore: (stored: RegisterState) => RegisterState
}

/** What documents in memory are made of. Clock and randomness belong to one process. */
export interface MemoryDocumentsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  /** Default: the later write wins. `mergeFieldValues` keeps a clock for every field. */
  readonly handler?: MergeHandler
  /** A handler that takes longer counts as failed. */
  readonly handlerTimeoutMs?: Millis
  /** Why a value cannot be held here, or null. */
  readonly validate?: (key: string, value: RegisterValue) => string | null
  /** How long it takes until a joined change is shown; called for each change. Default: no time. */
  readonly materialiseLagMs?: () => Millis
  /** Called for each local write before it is durable. */
  readonly onMinted?: (write: MintedWrite) => void
  /** Default: the real ones. */
  readonly steps?: Partial<RegisterSteps>
  readonly report: (report: ReplicaReport) => void
}

/** A change that is durable. */
export interface DocumentChange {
  readonly key: string
  readonly before: Uint8Array | null
  readonly stateHash: Uint8Array
  readonly delta: Uint8Array
}

/** Documents in the register of docs/protocol/register.md, kept whole in memory and durable in a store. */
export interface MemoryDocuments {
  readonly newest: number
  write(key: string, next: { readonly deleted: boolean; readonly payload: JsonObject }): Promise<Dot>
  join(key: readonly { readonly key: string; readonly delta: Uint8Array }[]): Promise<readonly JoinOutcome[]>
  summary(key: string): Uint8Array
  /** Throws `DecodeError` if the summary is invalid. */
  read(
    key: string,
    summary: Uint8Array,
  ): { readonly stateHash: Uint8Array; readonly delta: Uint8Array } | null
  /** Keys and hashes of what changed after this number, in order, with the number of each change. */
  changesSince(since: number): readonly {
    readonly key: string
    readonly stateHash: Uint8Array
    readonly at: number
  }[]
  shown(key: string): JsonObject | null
  readonly shownKeys: readonly string[]
  state(key: string): RegisterState | null
  /** Resolves when everything asked for so far is done. */
  settled(): Promise<void>
  onLocal(listener: (changes: readonly DocumentChange[]) => void): void
  onShown(listener: (key: string) => void): () => void
}

/** A state with its hash, which is computed once. */
interface Hashed {
  readonly state: RegisterState
  readonly hash: Uint8Array
}

interface Entry extends Hashed {
  /** Rises with every change of any document. */
  readonly at: number
}

/** What the application sees of a document; may lag behind the entry. */
interface Row {
  readonly value: HashedValue | null
  readonly context: Context
  readonly dots: readonly Dot[]
}

const DEFAULT_STEPS: RegisterSteps = {
  write: writeRegister,
  join: joinRegister,
  deltaFor,
  pushDelta,
  stateHash,
  createMinter: createDotMinter,
  restore: (stored) => stored,
}
const HANDLER_TIMEOUT_MS = 5_000
const DOCUMENT_PREFIX = "document/"

export async function openMemoryDocuments(options: MemoryDocumentsOptions): Promise<MemoryDocuments> {
  const { store, clock, random, handler = laterWins, handlerTimeoutMs = HANDLER_TIMEOUT_MS } = options
  const steps: RegisterSteps = { ...DEFAULT_STEPS, ...options.steps }
  const entryByKey = new Map<string, Entry>()
  const rowByKey = new Map<string, Row>()
  /** Writes that are requested but not durable yet: the next one of the same key has seen them. */
  const underWayByKey = new Map<string, { waiting: number; last: Row | null }>()
  const shownListeners = new Set<(key: string) => void>()
  let localListener: (changes: readonly DocumentChange[]) => void = () => undefined
  let newest = 0
  let queue: Promise<unknown> = Promise.resolve()

  const minter: DotMinter = steps.createMinter({
    now: () => clock.now(),
    freshIncarnation: () => incarnationFromBytes(random.bytes(8)),
  })

  /** Runs one change at a time: each builds on what the previous one made durable. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = queue.then(work)
    queue = result.catch(() => undefined)
    return result
  }

  const withDeadline = <T>(work: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(handlerTimeoutMs, () =>
        reject(new Error(`no answer within ${handlerTimeoutMs} ms`)),
      )
      work.then(resolve, reject).finally(cancel)
    })

  const folded = async (key: string, state: RegisterState): Promise<RegisterState> => {
    if (!needsFold(state)) return state
    const { view, failures } = await foldView(state.siblings, {
      handler,
      refuses: (value) => options.validate?.(key, value) ?? null,
      limit: withDeadline,
    })
    for (const { reason, cause } of failures) options.report({ type: "handler-failed", key, reason, cause })
    return { ...state, view }
  }

  const show = (key: string, row: Row): void => {
    rowByKey.set(key, row)
    for (const listener of shownListeners) listener(key)
  }

  const materialise = (key: string): void => {
    const present = (): void => {
      const state = entryByKey.get(key)?.state
      if (state !== undefined) show(key, rowOf(state))
    }
    const lagMs = options.materialiseLagMs?.() ?? 0
    if (lagMs > 0) clock.after(lagMs, present)
    else present()
  }

  const hashed = (state: RegisterState): Hashed => ({ state, hash: steps.stateHash(state) })

  /** Makes states durable, and then current. */
  const commit = async (states: ReadonlyMap<string, Hashed>): Promise<void> => {
    const entries: [string, Entry][] = []
    for (const [key, { state, hash }] of states) {
      entries.push([key, { state, hash, at: newest + entries.length + 1 }])
    }
    await store.write(
      entries.map(([key, entry]) => ({ key: DOCUMENT_PREFIX + key, value: encodeEntry(entry) })),
    )
    newest += entries.length
    for (const [key, entry] of entries) entryByKey.set(key, entry)
  }

  const write: MemoryDocuments["write"] = (key, next) => {
    const payload = cloneJson(next.payload)
    const seenRow = rowByKey.get(key)
    const underWay = underWayByKey.get(key) ?? { waiting: 0, last: null }
    underWayByKey.set(key, underWay)
    underWay.waiting++
    return inTurn(async () => {
      const previous = underWay.last ?? seenRow
      const seen = joinContexts(seenRow?.context ?? new Map(), underWay.last?.context ?? new Map())
      const dot = minter.mint(seen)
      const fields =
        handler === mergeFieldValues
          ? { fields: advanceFields(sideOf(previous), { deleted: next.deleted, payload }, dot.hlc) }
          : {}
      const value = hashValue({ deleted: next.deleted, payload, ...fields })
      options.onMinted?.({
        key,
        dot,
        value,
        seen: [...(seenRow?.dots ?? []), ...(underWay.last?.dots ?? [])],
      })
      const before = entryByKey.get(key)
      const written = steps.write(seen, dot, value)
      const joined = steps.join(before?.state ?? EMPTY_REGISTER, wholeDelta(written))
      if (joined.type !== "joined") {
        throw new RegisterError("context-full", "This document was written in too many sessions.")
      }
      const after = hashed(await folded(key, joined.state))
      await commit(new Map([[key, after]]))
      underWay.last = { value, context: written.context, dots: [dot] }
      show(key, underWay.last)
      localListener([
        {
          key,
          before: before?.hash ?? null,
          stateHash: after.hash,
          delta: encodeDelta(steps.pushDelta(before?.state ?? EMPTY_REGISTER, after.state)),
        },
      ])
      materialise(key)
      return dot
    }).finally(() => {
      underWay.waiting--
      if (underWay.waiting === 0) underWayByKey.delete(key)
    })
  }

  const joinOne = async (
    key: string,
    bytes: Uint8Array,
    staged: Map<string, Hashed>,
  ): Promise<JoinOutcome> => {
    let delta: RegisterDelta
    try {
      delta = decodeDelta(bytes)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      return { type: "refused", reason: error.message }
    }
    for (const sibling of delta.siblings) {
      const reason = options.validate?.(key, sibling) ?? null
      if (reason !== null) return { type: "refused", reason }
    }
    const held = staged.get(key) ?? entryByKey.get(key) ?? null
    const joined = steps.join(held?.state ?? EMPTY_REGISTER, delta)
    if (joined.type === "incomplete") return { type: "incomplete" }
    if (joined.type === "contradicts") return { type: "refused", reason: "it contradicts what is held" }
    if (joined.type === "context-full") return { type: "refused", reason: "written in too many sessions" }
    minter.observe(delta.context)
    const next = hashed(await folded(key, joined.state))
    if (joined.changed) staged.set(key, next)
    return {
      type: "joined",
      changed: joined.changed,
      before: held?.hash ?? null,
      stateHash: next.hash,
      senderLacks: joined.senderLacks === null ? null : encodeSummary(joined.senderLacks),
    }
  }

  for await (const [key, value] of store.entries(DOCUMENT_PREFIX)) {
    const name = key.slice(DOCUMENT_PREFIX.length)
    const stored = decodeEntry(value)
    const state = await folded(name, steps.restore(stored.state))
    entryByKey.set(name, { ...hashed(state), at: stored.at })
    rowByKey.set(name, rowOf(state))
    newest = Math.max(newest, stored.at)
    minter.observe(state.context)
  }

  return {
    get newest() {
      return newest
    },
    write,
    join: (incoming) =>
      inTurn(async () => {
        const staged = new Map<string, Hashed>()
        // Entries of one document join in turn, those of others meanwhile, so that a slow handler delays a batch only once.
        const lastByKey = new Map<string, Promise<JoinOutcome>>()
        const outcomes = await Promise.all(
          incoming.map(({ key, delta }) => {
            const join = (): Promise<JoinOutcome> => joinOne(key, delta, staged)
            const outcome = lastByKey.get(key)?.then(join) ?? join()
            lastByKey.set(key, outcome)
            return outcome
          }),
        )
        if (staged.size > 0) await commit(staged)
        for (const key of staged.keys()) materialise(key)
        return outcomes
      }),
    summary(key) {
      const entry = entryByKey.get(key)
      return entry === undefined ? new Uint8Array(0) : encodeSummary(summarizeRegister(entry.state))
    },
    read(key, summary) {
      const reader = decodeSummary(summary)
      const entry = entryByKey.get(key)
      if (entry === undefined) return null
      return { stateHash: entry.hash, delta: encodeDelta(steps.deltaFor(entry.state, reader)) }
    },
    changesSince: (since) =>
      [...entryByKey]
        .filter(([, entry]) => entry.at > since)
        .map(([key, entry]) => ({ key, stateHash: entry.hash, at: entry.at }))
        .toSorted((a, b) => a.at - b.at),
    shown(key) {
      const value = rowByKey.get(key)?.value
      return value == null || value.deleted ? null : value.payload
    },
    get shownKeys() {
      return [...rowByKey].filter(([, { value }]) => value?.deleted === false).map(([key]) => key)
    },
    state: (key) => entryByKey.get(key)?.state ?? null,
    async settled() {
      await queue
    },
    onLocal(listener) {
      localListener = listener
    },
    onShown(listener) {
      shownListeners.add(listener)
      return () => void shownListeners.delete(listener)
    },
  }
}

function rowOf(state: RegisterState): Row {
  return { value: shownValue(state), context: state.context, dots: state.siblings.map(({ dot }) => dot) }
}

function sideOf(row: Row | undefined): Parameters<typeof advanceFields>[0] {
  if (row?.value == null) return null
  return { ...row.value, hlc: row.dots.reduce((latest, { hlc }) => Math.max(latest, hlc), 0) }
}

/** A stored state is a delta for a reader that holds nothing, so there is no second format to go wrong. */
function encodeEntry({ state, at }: Entry): Uint8Array {
  const delta = encodeDelta(wholeDelta(state))
  return new ByteWriter(8 + delta.length).u53(at).bytes(delta).view()
}

function decodeEntry(bytes: Uint8Array): { readonly state: RegisterState; readonly at: number } {
  const read = new ByteReader(bytes)
  const at = read.u53()
  const joined = joinRegister(EMPTY_REGISTER, decodeDelta(read.rest()))
  if (joined.type !== "joined") throw new DecodeError("bad-value", "a stored document is incomplete")
  return { state: joined.state, at }
}

/** The state of a document as a store holds it, without opening the replica. */
export function readStoredDocument(
  values: ReadonlyMap<string, Uint8Array>,
  key: string,
): RegisterState | null {
  const stored = values.get(DOCUMENT_PREFIX + key)
  return stored === undefined ? null : decodeEntry(stored).state
}
