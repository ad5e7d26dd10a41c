import {
  EMPTY_REGISTER,
  joinRegister,
  type RegisterState,
  type RegisterSummary,
  ReplicaError,
  type ReplicaReport,
  sameBytes,
  shownValue,
  wholeDelta,
} from "@dunlin/core"
import type { BulkWriteRow, RxStorageWriteError } from "rxdb"
import { type AttachmentStub, attachmentListOf, type DocumentData } from "./document-shape.ts"
import { type Held, holdsUnsharedEdit, JOIN_REFUSALS, type RegisterStore } from "./register-store.ts"
import type { RowJournal } from "./row-journal.ts"
import { noteContextAhead } from "./row-knowledge.ts"
import {
  createRowPlanner,
  digestsOf,
  type Plan,
  type RowPlannerDeps,
  type Shown,
  type Transition,
  type Unplanned,
} from "./row-plan.ts"
import type { SidecarRecord } from "./sidecar-record.ts"
import type { Stamper } from "./stamper.ts"

export interface MaterialiserDeps extends RowPlannerDeps {
  readonly store: RegisterStore
  readonly stamper: Stamper
  readonly journal: RowJournal
  /** Is given states that are stored but whose rows the storage refused as a whole. */
  readonly unshown: (left: readonly Shown[]) => void
  readonly report: (report: ReplicaReport) => void
}

export type Materialised =
  | {
      readonly type: "done"
      readonly state: RegisterState
      /** The document that the join started from. */
      readonly held: Held
      /** Whether a local write came in between. */
      readonly rebased: boolean
      /** What was joined, as a summary, if what was found only then says more. */
      readonly senderLacks: RegisterSummary | null
    }
  | Unplanned

/** Makes new states durable: sidecar first, then the rows, so that a crash in between can be repaired. */
export interface Materialiser {
  /** One outcome per key, also for keys whose rows were still owed. Rejects with `ReplicaError` "storage-failed". */
  materialise(transitions: readonly Transition[]): Promise<ReadonlyMap<string, Materialised>>
  /**
   * Writes documents without looking for their rows, if a row alone can tell of them (decision 0408). Gives those that were
   * written: over a row that is there, nothing is. Rejects like `materialise`.
   */
  insert(states: ReadonlyMap<string, RegisterState>): Promise<ReadonlyMap<string, RegisterState>>
  /** Frees the data of attachments that a local write has replaced everywhere. */
  tidy(held: Held): Promise<void>
}

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
  const { store, rows, shape, stamper, shelf, holdsAttachments, journal, report } = deps

  /** Owed keys whose rows hold an edit that cannot be shared: whoever reads them again shows them, and no batch asks. */
  const unread = new Set<string>()
  const planner = createRowPlanner(deps)

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
      if (holdsUnsharedEdit(held)) unread.add(key)
      else unread.delete(key)
      if (record === null) continue
      records.set(key, record)
      if (write !== null || holdsUnsharedEdit(held)) journaled.push(key)
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
    const shown = done.filter((one) => !holdsUnsharedEdit(one.held))
    await store.putRecords(obsolete, journal.settle(shown.map((one) => one.key)))
    for (const one of done) {
      // Such a row does not show this state: the author of its next revision has not seen it.
      if (!holdsUnsharedEdit(one.held)) noteSeen(one)
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
    async insert(states) {
      const transitions = [...states].map(([key, next]) => ({ held: absent(key), next }))
      const { planned } = await planner.plan(transitions)
      const alone = planned.filter(({ record, write }) => record === null && write !== null)
      const errors = await rows.write(alone.flatMap(({ write }) => write ?? []))
      const written = alone.filter(({ key }) => !errors.has(key))
      for (const one of written) noteSeen(one)
      return new Map(written.map(({ key, state }) => [key, state]))
    },
    async materialise(transitions) {
      const outcomes = new Map<string, Materialised>()
      const lacking = new Map<string, RegisterSummary>()
      let left: readonly Transition[] = journal.owed.size === 0 ? transitions : await withOwed(transitions)
      for (let attempt = 0; left.length > 0; attempt++) {
        if (attempt > MAX_ATTEMPTS)
          throw new ReplicaError(
            "storage-failed",
            "A document changed faster than it could be joined. It is tried again.",
          )
        const { planned, outcomes: unplanned } = await planner.plan(left)
        for (const [key, outcome] of unplanned) outcomes.set(key, outcome)
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
              held: one.held,
              rebased: attempt > 0,
              senderLacks: lacking.get(one.key) ?? null,
            })
          } else if (error.status !== CONFLICT) {
            const answer = await answerRefusal(one, error)
            if (typeof answer === "string") outcomes.set(one.key, { type: "refused", reason: answer })
            else again.push(answer)
          }
        }
        const conflicted = plans.filter((one) => errors.get(one.key)?.status === CONFLICT)
        for (const { key, rebased } of await rebase(conflicted)) {
          if (rebased.type === "refused") {
            outcomes.set(key, rebased)
            continue
          }
          again.push(rebased)
          // The first tells what came; later ones also count what was found here meanwhile.
          if (rebased.senderLacks !== null && !lacking.has(key)) lacking.set(key, rebased.senderLacks)
        }
        left = again
      }
      return outcomes
    },
  }

  async function withOwed(transitions: readonly Transition[]): Promise<readonly Transition[]> {
    const named = new Set(transitions.map(({ held }) => held.key))
    const owed = await store.load([...journal.owed].filter((key) => !named.has(key) && !unread.has(key)))
    for (const held of owed) if (holdsUnsharedEdit(held)) unread.add(held.key)
    // Journalled before its record, which then could not be stored: there is nothing to show.
    journal.settle(owed.filter((one) => one.record === null).map((one) => one.key))
    const shown = owed.filter((one) => one.record !== null && one.trouble === undefined)
    return [...transitions, ...shown.map((held) => ({ held, next: held.state }))]
  }

  /** Somebody wrote the rows meanwhile: their writes come first, and ours are joined with them. */
  async function rebase(
    plans: readonly Plan[],
  ): Promise<readonly { readonly key: string; readonly rebased: Rebased }[]> {
    if (plans.length === 0) return []
    const fresh = await store.load(plans.map((one) => one.key))
    return Promise.all(
      fresh.map(async (held, at) => ({
        key: held.key,
        rebased: await rebaseOne(held, plans[at]?.state ?? held.state),
      })),
    )
  }

  async function rebaseOne(held: Held, ours: RegisterState): Promise<Rebased> {
    if (held.state.context.size === 0) return { type: "ahead", held, next: ours, senderLacks: null }
    const joined = joinRegister(held.state, wholeDelta(ours))
    if (joined.type !== "joined")
      return {
        type: "refused",
        reason: JOIN_REFUSALS[joined.type === "incomplete" ? "contradicts" : joined.type],
      }
    const { state, senderLacks } = joined
    return { type: "ahead", held, next: await store.fold(held.key, state), senderLacks }
  }
}

/** What became of a document whose row somebody wrote meanwhile. */
type Rebased =
  | (Transition & { readonly type: "ahead"; readonly senderLacks: RegisterSummary | null })
  | Extract<Unplanned, { type: "refused" }>

function absent(key: string): Held {
  return { key, row: undefined, record: null, state: EMPTY_REGISTER }
}

function digestsIn({ siblings, view }: RegisterState): readonly string[] {
  return (view === null ? siblings : [...siblings, view]).flatMap(digestsOf)
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
