import {
  type BlobRef,
  hashValue,
  type HashedValue,
  type RegisterState,
  type RegisterValue,
  shownValue,
} from "@dunlin/core"
import type { BulkWriteRow } from "rxdb"
import type { AttachmentShelf } from "./attachment-shelf.ts"
import { hexFromBytes } from "./byte-text.ts"
import type { AttachmentWrites, CollectionRows, RowWrite } from "./collection-rows.ts"
import {
  attachmentListOf,
  attachmentsOf,
  type DocumentData,
  type DocumentShape,
  type Row,
} from "./document-shape.ts"
import type { Modifiers } from "./modifiers.ts"
import { type Held, holdsUnsharedEdit } from "./register-store.ts"
import { hasSeen, rowTells } from "./row-knowledge.ts"
import { sameContent, showsOneContent } from "./same-content.ts"
import { revisionOf, type SidecarRecord } from "./sidecar-record.ts"

export interface RowPlannerDeps {
  readonly rows: CollectionRows
  readonly shape: DocumentShape
  readonly modifiers: Modifiers
  readonly shelf: AttachmentShelf
  readonly holdsAttachments: boolean
}

/** A document's step from the state that is held to the state that a join made of it. */
export interface Transition {
  readonly held: Held
  readonly next: RegisterState
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
export interface Plan extends Shown {
  readonly record: SidecarRecord | null
  readonly write: BulkWriteRow<DocumentData> | null
}

/** A state that no row can show now. */
export type Unplanned =
  | { readonly type: "refused"; readonly reason: string }
  /** The data of an attachment was given up before it could be shown: it has to come again. */
  | { readonly type: "lacking"; readonly blob: BlobRef }

/** Decides what a row has to show for a state, and what has to be noted beside it. Writes nothing. */
export interface RowPlanner {
  plan(transitions: readonly Transition[]): Promise<{
    readonly planned: readonly Plan[]
    readonly outcomes: ReadonlyMap<string, Unplanned>
  }>
}

type LocalsByKey = ReadonlyMap<string, PromiseSettledResult<HashedValue>>

type Lacking = Extract<Unplanned, { type: "lacking" }>

export function createRowPlanner({
  rows,
  shape,
  modifiers,
  shelf,
  holdsAttachments,
}: RowPlannerDeps): RowPlanner {
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
  const planOne = ({ held, next }: Transition, locals: LocalsByKey): Plan | Promise<Plan | Lacking> => {
    const { key, row } = held
    const shown = shownValue(next)
    // A `hidden` row stays as this device wrote it until the device shares the document again.
    if (shown === null || held.record?.hidden === true)
      return { key, held, state: next, record: recordOf(next, row, held), write: null, shows: [] }
    // Once the edit can be shared, it merges with what came meanwhile. Shown now, that would be all that is left.
    if (holdsUnsharedEdit(held))
      return {
        key,
        held,
        state: next,
        record: { state: next, revision: null, hidden: false, ...keptOf(held) },
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
        const record: SidecarRecord = { state: next, revision: revisionOf(row), hidden: false }
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

  return {
    async plan(transitions) {
      const planned: Plan[] = []
      const outcomes = new Map<string, Unplanned>()
      const locals = await modifiedLocals(transitions)
      for (const transition of transitions) {
        try {
          const made = planOne(transition, locals)
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
      return { planned, outcomes }
    },
  }
}

function recordOf(state: RegisterState, row: Row | undefined, held: Held): SidecarRecord {
  const hidden = held.record?.hidden === true
  const revision = held.record !== null && row !== undefined ? held.record.revision : null
  return { state, revision, hidden, ...keptOf(held) }
}

function keptOf({ record }: Held): Pick<SidecarRecord, "deletion"> {
  return record?.deletion === undefined ? {} : { deletion: record.deletion }
}

/** The digests of its attachments; none for a deleted value. */
export function digestsOf(value: RegisterValue): readonly string[] {
  return attachmentListOf(value).map((stub) => stub.digest)
}
