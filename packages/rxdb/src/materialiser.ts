import {
  type BlobRef,
  hashValue,
  type HashedValue,
  type RegisterState,
  type RegisterValue,
  ReplicaError,
  type ReplicaReport,
  sameBytes,
  shownValue,
} from "@dunlin/core"
import type { BulkWriteRow, RxStorageWriteError } from "rxdb"
import type { AttachmentShelf } from "./attachment-shelf.ts"
import { hexFromBytes } from "./byte-text.ts"
import type { AttachmentWrites, CollectionRows, RowWrite } from "./collection-rows.ts"
import {
  type AttachmentStub,
  attachmentListOf,
  attachmentsOf,
  type DocumentData,
  type DocumentShape,
  type Row,
} from "./document-shape.ts"
import type { Modifiers } from "./modifiers.ts"
import { type Held, joinStates, type RegisterStore } from "./register-store.ts"
import type { RowJournal } from "./row-journal.ts"
import { hasSeen, noteContextAhead, rowTells } from "./row-knowledge.ts"
import { sameContent, showsOneContent } from "./same-content.ts"
import type { SidecarRecord } from "./sidecar-record.ts"
import type { Stamper } from "./stamper.ts"

export interface MaterialiserDeps {
  readonly store: RegisterStore
  readonly rows: CollectionRows
  readonly shape: DocumentShape
  readonly modifiers: Modifiers
  readonly stamper: Stamper
  readonly shelf: AttachmentShelf
  readonly holdsAttachments: boolean
  readonly journal: RowJournal
  /** Is given states that are stored but whose rows the storage refused as a whole. */
  readonly unshown: (left: readonly Shown[]) => void
  readonly report: (report: ReplicaReport) => void
}

/** A document's step from the state that is held to the state that a join made of it. */
export interface Transition {
  readonly held: Held
  readonly next: RegisterState
}

export type Materialised =
  | {
      readonly type: "done"
      readonly state: RegisterState
      /** The state that the join started from. */
      readonly base: RegisterState
      /** Whether a local write came in between. */
      readonly rebased: boolean
    }
  | { readonly type: "refused"; readonly reason: string }
  /** The data of an attachment was given up before it could be shown: it has to come again. */
  | { readonly type: "lacking"; readonly blob: BlobRef }

/** Makes new states durable: sidecar first, then the rows, so that a crash in between can be repaired. */
export interface Materialiser {
  /** One outcome per key, also for keys whose rows were still owed. Rejects with `ReplicaError` "storage-failed". */
  materialise(transitions: readonly Transition[]): Promise<ReadonlyMap<string, Materialised>>
  /** Frees the data of attachments that a local write has replaced everywhere. */
  tidy(held: Held): Promise<void>
}

/** A state as its row shows it. */
export interface Shown {
  readonly key: string
  readonly held: Held
  readonly state: RegisterState
  /** Digests of the attachments that the row has then. */
  readonly shows: readonly string[]
}

/** What it takes to show a state. */
interface Plan extends Shown {
  readonly record: SidecarRecord | null
  readonly write: BulkWriteRow<DocumentData> | null
}

type LocalsByKey = ReadonlyMap<string, PromiseSettledResult<HashedValue>>

type Lacking = Extract<Materialised, { type: "lacking" }>

interface Committed {
  /** Those whose records are stored. */
  readonly plans: readonly Plan[]
  readonly errors: ReadonlyMap<string, RxStorageWriteError<DocumentData>>
  /** Why the storage refused the records of the others. */
  readonly unnoted: ReadonlyMap<string, unknown>
}

const CONFLICT = 409
const MAX_ATTEMPTS = 100

export function createMaterialiser(deps: MaterialiserDeps): Materialiser {
  const { store, rows, shape, modifiers, stamper, shelf, holdsAttachments, journal, report } = deps

  /** Owed keys whose rows cannot be read now: whoever reads them again shows them, and no batch waits for them. */
  const unread = new Set<string>()

  /** The views as `pull.modifier` keeps them here. All run at once: a slow one delays a batch only once. */
  const modifiedLocals = async (transitions: readonly Transition[]): Promise<LocalsByKey> => {
    const locals = new Map<string, PromiseSettledResult<HashedValue>>()
    if (modifiers.keepsEverything) return locals
    const modified = async ({ held: { key, record }, next }: Transition): Promise<void> => {
      const shown = shownValue(next)
      if (shown === null || shown.deleted || record?.hidden === true) return
      const [local] = await Promise.allSettled([modifiers.toLocal(key, shown).then(hashValue)])
      locals.set(key, local)
    }
    await Promise.all(transitions.map(modified))
    return locals
  }

  /** Returns a promise only to wait: most plans need not, and a promise each would cost as much as the plan. */
  const plan = ({ held, next }: Transition, locals: LocalsByKey): Plan | Promise<Plan | Lacking> => {
    const { key, row } = held
    const shown = shownValue(next)
    // A `hidden` row stays as this device wrote it until the device shares the document again.
    if (shown === null || held.record?.hidden === true)
      return { key, held, state: next, record: recordOf(next, row, held), write: null, shows: [] }
    // The row holds an edit that is not in the register yet. Once it is, it merges with what came meanwhile.
    if (isUnread(held))
      return {
        key,
        held,
        state: next,
        record: { state: next, revision: null, hidden: false },
        write: null,
        shows: [],
      }
    if (shown.deleted) return planDeletion(held, next)
    const local = locals.get(key)
    if (local?.status === "rejected") throw local.reason
    return planView(held, next, shown, local?.value ?? shown)
  }

  /** Plans how to show `local`: the view itself, or what `pull.modifier` made of it. */
  const planView = (
    held: Held,
    next: RegisterState,
    shown: HashedValue,
    local: HashedValue,
  ): Plan | Promise<Plan | Lacking> => {
    const { key, row } = held
    const modified = local !== shown && !sameContent(local, shown)
    const shows = holdsAttachments ? digestsOf(local) : []
    const current = row === undefined || row._deleted ? null : rows.contentOf(row)
    if (row !== undefined && current !== null && sameContent(current, local)) {
      if (rowTells(row, next)) return { key, held, state: next, record: null, write: null, shows }
      // Whoever edits this row has seen every write with the same content. Where other content was merged, the row is
      // written again: its stamp and RxDB's revision check then tell edits made before from edits made after.
      if (showsOneContent(next) || hasSeen(row, next)) {
        const record: SidecarRecord = { state: next, revision: row._rev, hidden: false }
        return { key, held, state: next, record, write: null, shows }
      }
    }
    const alone = next.siblings.length === 1 && !modified
    const dot = next.siblings.length === 1 ? (next.siblings[0]?.dot ?? null) : null
    const bare: RowWrite["stamp"] = { context: next.context, dot, hash: alone ? shown.hash : local.hash }
    const { fields } = shown
    const stamp = modified ? { ...bare, raw: true as const } : alone && fields ? { ...bare, fields } : bare
    const record = alone ? null : { state: next, revision: null, hidden: false }
    const planWith = (attachments: AttachmentWrites): Plan => {
      const write = rows.compose(shape.documentOf(key, local), row, { stamp, attachments })
      return { key, held, state: next, record, write, shows }
    }
    if (!holdsAttachments) return planWith({})
    return shelf.writesFor(key, row, attachmentsOf(local)).then((made) => {
      if (made.type === "writes") return planWith(made.attachments)
      const digest = hexFromBytes(made.blob.digest)
      // A peer that sends a write has its attachments' data. Nobody has what a handler or a modifier made up.
      if (next.siblings.some((sibling) => digestsOf(sibling).includes(digest))) return made
      throw new Error(`no data is here for the attachment with the digest ${digest}`)
    })
  }

  const planDeletion = (held: Held, next: RegisterState): Plan => {
    const { key, row } = held
    // The record stays for good: cleanup purges the row silently, and the deletion must outlive it.
    const record: SidecarRecord = { state: next, revision: null, hidden: false }
    if (row === undefined || row._deleted)
      return { key, held, state: next, record: recordOf(next, row, held), write: null, shows: [] }
    const { _rev, _meta, _attachments, ...data } = row
    const dot = next.siblings.length === 1 ? (next.siblings[0]?.dot ?? null) : null
    const stamp = { context: next.context, dot, hash: hashValue({ deleted: true, payload: {} }).hash }
    const write = rows.compose({ ...data, _deleted: true }, row, { stamp, attachments: {} })
    return { key, held, state: next, record, write, shows: [] }
  }

  /** Keeps the data of siblings that the row is about to stop showing, for peers that ask for it. */
  const shelveLosers = async ({ key, held, state }: Plan): Promise<void> => {
    if (held.row === undefined || state.siblings.length < 2) return
    const shown = shownValue(state)
    const kept = new Set(shown === null ? [] : digestsOf(shown))
    const losers = state.siblings.flatMap(attachmentListOf)
    await shelf.shelve(
      key,
      held.row,
      losers.filter((stub: AttachmentStub) => !kept.has(stub.digest)),
    )
  }

  /** Leaves on the shelf what peers may ask for and the row lacks: other siblings, and what a modifier left out. */
  const tidyShelf = async ({ key, held, state, shows }: Shown): Promise<void> => {
    const inRow = new Set(shows)
    const wanted = new Set(state.siblings.flatMap(digestsOf).filter((digest) => !inRow.has(digest)))
    const known = [held.state, held.record?.state, state].flatMap((one) =>
      one === undefined ? [] : digestsIn(one),
    )
    const obsolete = [...new Set(known)].filter((digest) => !wanted.has(digest))
    if (wanted.size > 0) await shelf.keep(key, [...wanted])
    if (obsolete.length > 0) await shelf.clear(key, obsolete)
  }

  /** Writes records, then rows. */
  const commit = async (planned: readonly Plan[]): Promise<Committed> => {
    if (holdsAttachments) for (const one of planned) await shelveLosers(one)
    const records = new Map<string, SidecarRecord | null>()
    const journaled: string[] = []
    for (const { key, held, record, write } of planned) {
      if (isUnread(held)) unread.add(key)
      else unread.delete(key)
      if (record === null) continue
      records.set(key, record)
      if (write !== null || isUnread(held)) journaled.push(key)
    }
    const unnoted = await store.putRecords(records, journaled.length > 0 ? journal.owe(journaled) : undefined)
    journal.settle([...unnoted.keys()])
    const plans = unnoted.size === 0 ? planned : planned.filter((one) => !unnoted.has(one.key))
    const writes: BulkWriteRow<DocumentData>[] = []
    for (const { write } of plans) if (write !== null) writes.push(write)
    const errors = await rows.write(writes).catch((cause: unknown) => {
      // Records are stored for these, so reads return the new states from now on, and the rows have to follow.
      deps.unshown(plans.filter((one) => one.record !== null && one.write !== null))
      throw cause
    })
    const done = errors.size === 0 ? plans : plans.filter((one) => !errors.has(one.key))
    const obsolete = new Map<string, null>()
    for (const { key, record, held } of done)
      if (record === null && held.record !== null) obsolete.set(key, null)
    const shown = done.filter((one) => !isUnread(one.held))
    await store.putRecords(obsolete, journal.settle(shown.map((one) => one.key)))
    for (const one of done) {
      // Such a row does not show this state: the author of its next revision has not seen it.
      if (!isUnread(one.held)) noteSeen(one)
      if (holdsAttachments) await tidyShelf(one)
    }
    return { plans, errors, unnoted }
  }

  const noteSeen = ({ key, held, record, state, write }: Plan): void => {
    const row = write?.document ?? held.row
    if (row !== undefined && record !== null) noteContextAhead(stamper, key, row, state)
    else if (row !== undefined) stamper.contextsAhead.delete(key)
    else stamper.contextsAhead.set(key, state.context)
  }

  /** A merge that the schema refuses yields to the latest sibling; a refused document stays outside. */
  const answerRefusal = async (
    one: Plan,
    error: RxStorageWriteError<DocumentData>,
  ): Promise<Transition | string> => {
    const reason = refusalReason(error)
    const last = one.state.siblings.at(-1)
    const view = one.state.view
    if (view !== null && last !== undefined && !sameBytes(view.hash, last.hash)) {
      report({ type: "handler-failed", key: one.key, reason: `the schema refuses the merge: ${reason}` })
      return { held: one.held, next: { ...one.state, view: last } }
    }
    if (one.record !== null)
      await store.putRecords(new Map([[one.key, one.held.record]]), journal.settle([one.key]))
    return reason
  }

  return {
    async tidy(held) {
      const { key, row, state } = held
      const shows = row === undefined || row._deleted ? [] : digestsOf(shape.valueOf(row))
      if (holdsAttachments) await tidyShelf({ key, held, state, shows })
    },
    async materialise(transitions) {
      const outcomes = new Map<string, Materialised>()
      let left: readonly Transition[] = journal.owed.size === 0 ? transitions : await withOwed(transitions)
      for (let attempt = 0; left.length > 0; attempt++) {
        if (attempt > MAX_ATTEMPTS)
          throw new ReplicaError(
            "storage-failed",
            "A document changed faster than it could be joined. It is tried again.",
          )
        const planned: Plan[] = []
        const locals = await modifiedLocals(left)
        for (const transition of left) {
          try {
            const made = plan(transition, locals)
            const settled = made instanceof Promise ? await made : made
            if ("type" in settled) outcomes.set(transition.held.key, settled)
            else planned.push(settled)
          } catch (cause) {
            // The application's modifier threw, or the row holds what cannot be shared: that document stays outside,
            // and its batch goes on.
            const reason = `it cannot be shown here: ${String(cause)}`
            outcomes.set(transition.held.key, { type: "refused", reason })
          }
        }
        const { plans, errors, unnoted } = await commit(planned)
        for (const [key, cause] of unnoted)
          outcomes.set(key, { type: "refused", reason: `it cannot be noted here: ${String(cause)}` })
        const again: Transition[] = []
        for (const one of plans) {
          const error = errors.get(one.key)
          if (error === undefined) {
            outcomes.set(one.key, {
              type: "done",
              state: one.state,
              base: one.held.state,
              rebased: attempt > 0,
            })
          } else if (error.status !== CONFLICT) {
            const answer = await answerRefusal(one, error)
            if (typeof answer === "string") outcomes.set(one.key, { type: "refused", reason: answer })
            else again.push(answer)
          }
        }
        const conflicted = plans.filter((one) => errors.get(one.key)?.status === CONFLICT)
        left = [...again, ...(await rebase(conflicted))]
      }
      return outcomes
    },
  }

  async function withOwed(transitions: readonly Transition[]): Promise<readonly Transition[]> {
    const named = new Set(transitions.map(({ held }) => held.key))
    const owed = await store.load([...journal.owed].filter((key) => !named.has(key) && !unread.has(key)))
    for (const held of owed) if (isUnread(held)) unread.add(held.key)
    // Journalled before its record, which then could not be stored: there is nothing to show.
    journal.settle(owed.filter((one) => one.record === null).map((one) => one.key))
    const shown = owed.filter((one) => one.record !== null && one.trouble === undefined)
    return [...transitions, ...shown.map((held) => ({ held, next: held.state }))]
  }

  /** Somebody wrote the row meanwhile: their write comes first, and ours is joined with it. */
  async function rebase(plans: readonly Plan[]): Promise<readonly Transition[]> {
    if (plans.length === 0) return []
    const fresh = await store.load(plans.map((one) => one.key))
    return Promise.all(
      fresh.map(async (held, index) => {
        const ours = plans[index]?.state ?? held.state
        return { held, next: await store.fold(held.key, joinStates(held.state, ours)) }
      }),
    )
  }
}

/** The row could not be read, for a reason that passes. */
function isUnread({ trouble }: Held): boolean {
  return trouble?.of === "moment"
}

function recordOf(state: RegisterState, row: Row | undefined, held: Held): SidecarRecord {
  const hidden = held.record?.hidden === true
  return { state, revision: held.record !== null && row !== undefined ? held.record.revision : null, hidden }
}

function digestsIn({ siblings, view }: RegisterState): readonly string[] {
  return (view === null ? siblings : [...siblings, view]).flatMap(digestsOf)
}

function digestsOf(value: RegisterValue): readonly string[] {
  return attachmentListOf(value).map((stub) => stub.digest)
}

function refusalReason(error: RxStorageWriteError<DocumentData>): string {
  switch (error.status) {
    case 422: {
      const details = error.validationErrors
        .map((one: { readonly message?: string }) => one.message ?? "")
        .join("; ")
      return details === "" ? "the schema refuses it" : `the schema refuses it: ${details}`
    }
    case 510:
      return "the data of an attachment is missing"
    default:
      return `the storage refuses it with status ${error.status}`
  }
}
