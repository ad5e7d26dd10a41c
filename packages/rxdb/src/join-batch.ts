import {
  decodeDelta,
  DecodeError,
  EMPTY_REGISTER,
  encodeSummary,
  type Incoming,
  joinRegister,
  type JoinOutcome,
  needsFold,
  type RegisterDelta,
  type RegisterState,
  type RegisterSummary,
  type RegisterValue,
  type ReplicaPeer,
  type ReplicaReport,
  shownValue,
  stateHash,
} from "@dunlin/core"
import { type AttachmentShelf, MAX_ATTACHMENT_BYTES } from "./attachment-shelf.ts"
import { type ConflictLog, resolvedConflict } from "./conflict-log.ts"
import type { TrafficSink } from "./document-traffic.ts"
import { type AttachmentStub, attachmentListOf, type DocumentShape } from "./document-shape.ts"
import type { Materialised, Materialiser } from "./materialiser.ts"
import { type Held, holdsUnsharedEdit, JOIN_REFUSALS, type RegisterStore } from "./register-store.ts"
import type { Transition } from "./row-plan.ts"
import { holdsUnmigrated } from "./sidecar-record.ts"
import { MAX_SHELF_BLOBS, MAX_SHELF_BYTES } from "./shelf-ledger.ts"
import type { Stamper } from "./stamper.ts"

export interface JoinBatchDeps {
  readonly shape: DocumentShape
  readonly store: RegisterStore
  readonly materialiser: Materialiser
  readonly stamper: Stamper
  readonly shelf: AttachmentShelf
  readonly conflicts: ConflictLog
  readonly traffic: TrafficSink
  readonly report: (report: ReplicaReport) => void
}

/** Per document: the attachments of two documents then fit the shelf together. */
const MAX_ATTACHMENTS = MAX_SHELF_BLOBS / 2

/** One document of a batch while its entries are joined one by one. */
interface Work {
  readonly held: Held
  state: RegisterState
  changed: boolean
}

/** What became of one entry, before the storage has answered. */
type Draft =
  | { readonly type: "settled"; readonly outcome: JoinOutcome }
  | {
      readonly type: "joined"
      readonly work: Work
      readonly before: RegisterState
      readonly after: RegisterState
      readonly changed: boolean
      /** Whether the entry was all that the sender holds. */
      readonly isWhole: boolean
      readonly senderLacks: RegisterSummary | null
    }

/** Joins a batch. One outcome per entry, in order. */
export async function joinBatch(
  deps: JoinBatchDeps,
  entries: readonly Incoming[],
  peer: ReplicaPeer,
): Promise<readonly JoinOutcome[]> {
  if (!deps.store.isFirstSync(entries.length)) return joinRead(deps, entries, peer)
  const inserted = await insertUnread(deps, entries, peer)
  if (inserted.size === entries.length) return entries.map(({ key }) => inserted.get(key) as JoinOutcome)
  const left = entries.filter(({ key }) => !inserted.has(key))
  const joined = (await joinRead(deps, left, peer)).values()
  return entries.map(({ key }) => inserted.get(key) ?? (joined.next().value as JoinOutcome))
}

/**
 * Stores entries as new documents without looking for their rows (decision 0408). Outcomes by key. A document without one
 * was not stored: it is there after all, or more than a plain one, or comes twice, or is to be refused.
 */
async function insertUnread(
  deps: JoinBatchDeps,
  entries: readonly Incoming[],
  peer: ReplicaPeer,
): Promise<ReadonlyMap<string, JoinOutcome>> {
  const states = new Map<string, RegisterState | null>()
  for (const entry of entries)
    states.set(entry.key, states.has(entry.key) ? null : plainDocument(deps, entry))
  const plain = new Map<string, RegisterState>()
  for (const [key, state] of states) if (state !== null) plain.set(key, state)
  const inserted = await deps.materialiser.insert(plain)
  const outcomes = new Map<string, JoinOutcome>()
  for (const [key, state] of inserted) {
    deps.stamper.minter.observe(state.context)
    const hash = stateHash(state)
    outcomes.set(key, { type: "joined", changed: true, before: null, stateHash: hash, senderLacks: null })
  }
  tellTraffic(deps, peer, inserted)
  return outcomes
}

/** The state that the entry makes of nothing, if it is one value that nothing speaks against. */
function plainDocument(deps: JoinBatchDeps, { key, delta }: Incoming): RegisterState | null {
  try {
    const decoded = decodeDelta(delta)
    if (decoded.siblings.length !== 1 || refusal(deps, key, decoded) !== null) return null
    const joined = joinRegister(EMPTY_REGISTER, decoded)
    const isPlain = joined.type === "joined" && joined.changed && joined.state.siblings.length === 1
    return isPlain && joined.senderLacks === null ? joined.state : null
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

/** Joins with one read and one write of the storage, if nobody writes meanwhile. */
async function joinRead(
  deps: JoinBatchDeps,
  entries: readonly Incoming[],
  peer: ReplicaPeer,
): Promise<readonly JoinOutcome[]> {
  const keys = [...new Set(entries.map((entry) => entry.key))]
  const works = new Map<string, Work>()
  for (const held of await deps.store.load(keys))
    works.set(held.key, { held, state: held.state, changed: false })

  const drafts = await draftAll(deps, works, entries)

  const transitions: Transition[] = []
  for (const { held, state, changed } of works.values()) if (changed) transitions.push({ held, next: state })
  const materialised = await deps.materialiser.materialise(transitions)
  for (const { held, next } of transitions) {
    const outcome = materialised.get(held.key)
    if (outcome?.type === "refused")
      deps.report({ type: "quarantined", key: held.key, reason: outcome.reason })
    const conflict =
      outcome?.type === "done" && next.siblings.length > 1 && !holdsUnsharedEdit(outcome.held)
        ? resolvedConflict(deps.shape, held.key, outcome.state)
        : null
    if (conflict !== null) deps.conflicts.add(conflict)
  }
  const stored = new Map<string, RegisterState>()
  for (const [key, outcome] of materialised) if (outcome.type === "done") stored.set(key, outcome.state)
  tellTraffic(deps, peer, stored)
  return drafts.map((_, index) => settled(drafts, index, materialised))
}

/**
 * Entries of one document are joined in turn, those of different documents at the same time: a handler that is slow, or
 * never answers, costs one wait per batch and not one per document.
 */
async function draftAll(
  deps: JoinBatchDeps,
  works: ReadonlyMap<string, Work>,
  entries: readonly Incoming[],
): Promise<readonly Draft[]> {
  const drafts: (Draft | Promise<Draft>)[] = []
  const lastOf = new Map<Work, Promise<Draft>>()
  for (const entry of entries) {
    const work = works.get(entry.key)
    if (work === undefined) continue
    const last = lastOf.size === 0 ? undefined : lastOf.get(work)
    const draft =
      last === undefined ? joinOne(deps, work, entry) : last.then(() => joinOne(deps, work, entry))
    if (draft instanceof Promise) lastOf.set(work, draft)
    drafts.push(draft)
  }
  return lastOf.size === 0 ? (drafts as Draft[]) : Promise.all(drafts.map((draft) => Promise.resolve(draft)))
}

/** Returns a promise only to wait: most entries need not, and a promise each would cost as much as the join. */
function joinOne(deps: JoinBatchDeps, work: Work, { key, delta }: Incoming): Draft | Promise<Draft> {
  let decoded: RegisterDelta
  try {
    decoded = decodeDelta(delta)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return refuse(deps, key, error.message)
  }
  const reason = refusal(deps, key, decoded)
  if (reason !== null) return refuse(deps, key, reason)
  const joined = joinRegister(work.state, decoded)
  switch (joined.type) {
    case "incomplete":
      return { type: "settled", outcome: { type: "incomplete" } }
    case "contradicts":
    case "context-full":
      return refuse(deps, key, JOIN_REFUSALS[joined.type])
    case "joined": {
      if (holdsUnmigrated(joined.state, work.held.record))
        return refuse(deps, key, "a migration strategy failed for what is held of it")
      const stubs = joined.changed ? arrivedAttachments(decoded) : []
      return stubs.length === 0 && !needsFold(joined.state)
        ? accept(deps, work, decoded, joined, joined.state)
        : complete(deps, work, decoded, joined, stubs)
    }
  }
}

type Joined = Extract<ReturnType<typeof joinRegister>, { type: "joined" }>

/** Accepts the entry if its attachments are here, after folding its view. */
async function complete(
  deps: JoinBatchDeps,
  work: Work,
  decoded: RegisterDelta,
  joined: Joined,
  stubs: readonly AttachmentStub[],
): Promise<Draft> {
  const { key, row } = work.held
  const look = await deps.shelf.look(key, row, stubs)
  if (look.type === "wrong-length")
    return refuse(
      deps,
      key,
      `the data with the digest ${look.digest} does not have the length that it claims`,
    )
  if (look.blobs.length > 0) return { type: "settled", outcome: { type: "missing-blobs", blobs: look.blobs } }
  const { changed, state } = joined
  return accept(
    deps,
    work,
    decoded,
    joined,
    changed && needsFold(state) ? await deps.store.fold(key, state) : state,
  )
}

function accept(
  deps: JoinBatchDeps,
  work: Work,
  decoded: RegisterDelta,
  { changed, senderLacks }: Joined,
  state: RegisterState,
): Draft {
  deps.stamper.minter.observe(decoded.context)
  const before = work.state
  if (changed) {
    work.state = state
    work.changed = true
  }
  return { type: "joined", work, before, after: work.state, changed, isWhole: decoded.complete, senderLacks }
}

function refuse({ report }: JoinBatchDeps, key: string, reason: string): Draft {
  report({ type: "quarantined", key, reason })
  return { type: "settled", outcome: { type: "refused", reason } }
}

function refusal({ shape }: JoinBatchDeps, key: string, { siblings, view }: RegisterDelta): string | null {
  for (const sibling of siblings) {
    const reason = shape.refusal(key, sibling)
    if (reason !== null) return reason
    const stubs = attachmentListOf(sibling)
    if (stubs.length > MAX_ATTACHMENTS) return `it has more than ${MAX_ATTACHMENTS} attachments`
    if (stubs.some(({ length }) => length > MAX_ATTACHMENT_BYTES))
      return "an attachment is larger than 256 MiB"
    if (stubs.reduce((sum, { length }) => sum + length, 0) > MAX_SHELF_BYTES)
      return "its attachments together are larger than 512 MiB"
  }
  return view?.type === "inline" ? shape.refusal(key, view.value) : null
}

function arrivedAttachments({ siblings, view }: RegisterDelta): readonly AttachmentStub[] {
  if (siblings.length === 1 && view === null) return attachmentListOf(siblings[0] as RegisterValue)
  const values = view?.type === "inline" ? [...siblings, view.value] : siblings
  return values.flatMap(attachmentListOf)
}

/** The outcome of a draft after the storage answered. Hashed last, when subscribers have seen the documents. */
function settled(
  drafts: readonly Draft[],
  index: number,
  materialised: ReadonlyMap<string, Materialised>,
): JoinOutcome {
  const draft = drafts[index] as Draft
  if (draft.type === "settled") return draft.outcome
  const { work, changed, isWhole, senderLacks } = draft
  const done = materialised.get(work.held.key)
  if (done?.type === "refused") return { type: "refused", reason: done.reason }
  if (done?.type === "lacking") return { type: "missing-blobs", blobs: [done.blob] }
  const rebased = done?.rebased === true && isLast(drafts, index, work) ? done : null
  const before = rebased?.held.state ?? draft.before
  const after = rebased?.state ?? draft.after
  const hash = stateHash(after)
  const lacks = senderLacks ?? (isWhole ? (rebased?.senderLacks ?? null) : null)
  return {
    type: "joined",
    changed,
    before: before.context.size === 0 ? null : before === after ? hash : stateHash(before),
    stateHash: hash,
    senderLacks: lacks === null ? null : encodeSummary(lacks),
  }
}

function tellTraffic(
  { traffic, shape }: JoinBatchDeps,
  peer: ReplicaPeer,
  stored: ReadonlyMap<string, RegisterState>,
): void {
  if (!traffic.observed || stored.size === 0) return
  const documents = [...stored].flatMap(([key, state]) => {
    const shown = shownValue(state)
    return shown === null ? [] : [shape.documentOf(key, shown)]
  })
  traffic.next({ direction: "received", peer: peer.session, documents })
}

function isLast(drafts: readonly Draft[], index: number, work: Work): boolean {
  return !drafts.slice(index + 1).some((later) => later.type === "joined" && later.work === work)
}
