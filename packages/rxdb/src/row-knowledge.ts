// What the stamp of a row says of a state, and what it does not.
import { includesContext, type RegisterState, sameBytes } from "@dunlin/core"
import type { Row } from "./document-shape.ts"
import { readStamp } from "./stamp.ts"
import type { Stamper } from "./stamper.ts"

/** Whether the row says all there is to say about the state, so that no record is needed. */
export function rowTells(row: Row | undefined, state: RegisterState): boolean {
  if (row === undefined || state.siblings.length !== 1 || row._deleted) return false
  const stamp = readStamp(row)
  const sibling = state.siblings[0]
  return (
    stamp?.dot != null &&
    sibling !== undefined &&
    stamp.raw === undefined &&
    stamp.dot.hlc === sibling.dot.hlc &&
    stamp.dot.incarnation === sibling.dot.incarnation &&
    sameBytes(stamp.hash, sibling.hash) &&
    stamp.context.size === state.context.size &&
    [...stamp.context].every(([incarnation, hlc]) => state.context.get(incarnation) === hlc)
  )
}

/** Whether the row's stamp covers everything in the state. */
export function hasSeen(row: Row, state: RegisterState): boolean {
  const stamp = readStamp(row)
  return stamp !== null && includesContext(stamp.context, state.context)
}

/** Notes whether the next local write over this row has seen more than the row's stamp says. */
export function noteContextAhead(stamper: Stamper, key: string, row: Row, state: RegisterState): void {
  if (hasSeen(row, state)) stamper.contextsAhead.delete(key)
  else stamper.contextsAhead.set(key, state.context)
}
