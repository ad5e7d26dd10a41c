import { canonicalJson, type Json } from "./json.ts"
import type { MergeHandler, MergeSide } from "./view.ts"
import { DELETED_FIELD, type FieldClocks, type RegisterValue } from "./value.ts"

/**
 * Merges field by field: the later write of each top-level field wins, so that concurrent edits of different
 * fields both survive. Commutative, associative and idempotent.
 */
export const mergeFieldValues: MergeHandler = (earlier, later): RegisterValue => {
  const clocks: readonly [FieldClocks, FieldClocks] = [clocksOf(earlier), clocksOf(later)]
  const payload: Record<string, Json> = {}
  const fields: Record<string, number> = {}
  let deleted = false
  for (const field of new Set([...Object.keys(clocks[0]), ...Object.keys(clocks[1])])) {
    const a = clocks[0][field] ?? 0
    const b = clocks[1][field] ?? 0
    const from = a === b ? greaterSide(earlier, later, field) : a > b ? earlier : later
    fields[field] = Math.max(a, b)
    const value = fieldValue(from, field)
    if (field === DELETED_FIELD) deleted = value === true
    else if (value !== undefined) payload[field] = value
  }
  return { deleted, payload, fields }
}

/** Clocks after a write: fields that differ from the previous value carry the write's clock. */
export function advanceFields(previous: MergeSide | null, next: RegisterValue, hlc: number): FieldClocks {
  if (previous === null || next.deleted) return clocksOf({ ...next, hlc })
  const before = clocksOf(previous)
  const fields: Record<string, number> = { ...before }
  const names = new Set([...Object.keys(before), ...Object.keys(next.payload), DELETED_FIELD])
  for (const field of names) {
    if (fieldText(previous, field) !== fieldText({ ...next, hlc }, field)) fields[field] = hlc
  }
  return fields
}

/** A value without field clocks was written as a whole. */
function clocksOf({ deleted, payload, fields, hlc }: MergeSide): FieldClocks {
  if (fields !== undefined) return fields
  if (deleted) return { [DELETED_FIELD]: hlc }
  const clocks: Record<string, number> = { [DELETED_FIELD]: hlc }
  for (const field of Object.keys(payload)) clocks[field] = hlc
  return clocks
}

function fieldValue(side: MergeSide, field: string): Json | undefined {
  return field === DELETED_FIELD
    ? side.deleted
    : Object.hasOwn(side.payload, field)
      ? side.payload[field]
      : undefined
}

function fieldText(side: MergeSide, field: string): string {
  const value = fieldValue(side, field)
  return value === undefined ? "" : canonicalJson(value)
}

function greaterSide(a: MergeSide, b: MergeSide, field: string): MergeSide {
  return fieldText(a, field) > fieldText(b, field) ? a : b
}
