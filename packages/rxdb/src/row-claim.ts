import {
  BIRTH_HLC,
  birthIncarnation,
  type Context,
  covers,
  EMPTY_REGISTER,
  type HashedValue,
  joinContexts,
  type RegisterState,
  shownValue,
  writeRegister,
} from "@dunlin/core"
import { getHeightOfRevision } from "rxdb/plugins/core"
import type { CollectionRows } from "./collection-rows.ts"
import type { DocumentShape, Row } from "./document-shape.ts"
import { isKept, tombstoneOf } from "./kept-deletion.ts"
import type { Modifiers } from "./modifiers.ts"
import { showsOneContent } from "./same-content.ts"
import { accountsFor, type SidecarRecord } from "./sidecar-record.ts"
import { INSERTED, readStamp, recognise, type Stamp, stampedValue } from "./stamp.ts"

/** How a row enters the state of its document. */
export type RowClaim =
  | { readonly type: "nothing" }
  | { readonly type: "write"; readonly write: RegisterState }
  /** A write that has no dot or no shared form yet. */
  | { readonly type: "adopt"; readonly seen: Context; readonly stamp: Stamp | null }

export interface RowClaimsDeps {
  readonly shape: DocumentShape
  readonly rows: CollectionRows
  readonly modifiers: Modifiers
  /** Unstamped rows up to this `lwt` are older than Dunlin; later ones were written where it was not loaded. */
  readonly bornBefore: number
}

/** Tells what a row says that the record beside it does not. */
export type RowClaims = (key: string, row: Row, record: SidecarRecord | null) => RowClaim

export function createRowClaims({ shape, rows, modifiers, bornBefore }: RowClaimsDeps): RowClaims {
  // Rows never change, and storages in memory give the same row each time: one that is older than Dunlin is hashed
  // once. For a stamped row the table would cost more than it saves.
  const birthByRow = new WeakMap<Row, RegisterState>()

  const birthOf = (key: string, row: Row): RegisterState => {
    const known = birthByRow.get(row)
    if (known !== undefined) return known
    const born = birth(key, rows.contentOf(row))
    birthByRow.set(row, born)
    return born
  }

  const claimOf = (key: string, row: Row, record: SidecarRecord | null): RowClaim => {
    if (record !== null && accountsFor(record, row)) return { type: "nothing" }
    const claim = claimOfRow(key, row, record)
    if (claim.type === "nothing") return claim
    const unshared = contextOfUnshared(row, record)
    const seen = joinKnown(seenBefore(row, record), unshared)
    if (seen === null) return claim
    if (claim.type === "adopt") return { ...claim, seen: joinContexts(claim.seen, seen) }
    // The record of that deletion is replaced, and with it what tells that it was seen.
    if (unshared !== null)
      return { type: "adopt", seen: joinContexts(claim.write.context, seen), stamp: readStamp(row) }
    const { write } = claim
    return { type: "write", write: { ...write, context: joinContexts(write.context, seen) } }
  }

  /**
   * What the author of the row saw beyond what its stamp says. The record belongs to an earlier revision, which showed
   * all there was, although its stamp did not say so; the author may have been in another tab, or before a restart.
   */
  const seenBefore = (row: Row, record: SidecarRecord | null): Context | null => {
    if (record === null || record.hidden || record.revision === null) return null
    if (getHeightOfRevision(row._rev) <= getHeightOfRevision(record.revision)) return null
    return showsOneContent(record.state) ? record.state.context : null
  }

  /** What the author of the kept deletion of an earlier row had seen: whoever wrote this row found nothing there. */
  const contextOfUnshared = (row: Row, record: SidecarRecord | null): Context | null => {
    const kept = record?.deletion
    if (kept === undefined || isKept(row, kept)) return null
    return readStamp(tombstoneOf(shape, "", kept))?.context ?? null
  }

  const claimOfRow = (key: string, row: Row, record: SidecarRecord | null): RowClaim => {
    const known = record?.state ?? EMPTY_REGISTER
    const isDeleted = shownValue(known)?.deleted === true
    const recognition = recognise(row, () => rows.contentOf(row))
    if (recognition.type === "unstamped") {
      if (isDeleted) return { type: "adopt", seen: known.context, stamp: null }
      const old = row._meta.lwt <= bornBefore
      // Lengths that were read go into a record with the state: the next start must not read all data again.
      if (old && modifiers.sharesEverything && shape.attachments.rowTellsLengths(row))
        return { type: "write", write: birthOf(key, row) }
      return { type: "adopt", seen: new Map(), stamp: null }
    }
    const { type, stamp } = recognition
    const own = type === "stamped" ? stamp : null
    if (isDeleted && !row._deleted && foundNothing(stamp, known.context))
      return { type: "adopt", seen: joinContexts(known.context, stamp.context), stamp: own }
    return own === null ? { type: "adopt", seen: stamp.context, stamp: null } : claimOfStamp(row, own, known)
  }

  const claimOfStamp = (row: Row, stamp: Stamp, known: RegisterState): RowClaim => {
    if (stamp.dot === null) {
      // The row shows a merge. If its siblings were lost with the sidecar, the merge itself is all there is.
      return known.context.size > 0
        ? { type: "nothing" }
        : { type: "adopt", seen: stamp.context, stamp: null }
    }
    if (stamp.raw !== undefined)
      return covers(known.context, stamp.dot)
        ? { type: "nothing" }
        : { type: "adopt", seen: stamp.context, stamp }
    return { type: "write", write: stampedWrite(stamp, stampedValue(shape.valueOf(row), stamp)) }
  }

  return claimOf
}

/**
 * Whether the document was put where its author found none, although the record tells of one: RxDB dropped the stamp of its
 * deletion, or purged the row. A stamp of a deletion's own author tells what that author knew.
 */
function foundNothing({ dot, context, height, began }: Stamp, known: Context): boolean {
  if (dot === null || covers(known, dot)) return false
  if (began !== undefined) return !covers(known, began)
  return height === INSERTED || (context.size === 1 && !known.has(dot.incarnation))
}

function joinKnown(a: Context | null, b: Context | null): Context | null {
  if (a === null || b === null) return a ?? b
  return joinContexts(a, b)
}

/** The state of a document older than Dunlin: every device that holds the same content derives the same state. */
export function birth(key: string, content: HashedValue): RegisterState {
  return writeRegister(
    new Map(),
    { incarnation: birthIncarnation(key, content.hash), hlc: BIRTH_HLC },
    content,
  )
}

/** The write that a stamp describes. */
export function stampedWrite(stamp: Stamp, value: HashedValue): RegisterState {
  return {
    context: stamp.context,
    siblings: stamp.dot === null ? [] : [{ ...value, dot: stamp.dot }],
    view: null,
  }
}
