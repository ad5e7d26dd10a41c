import type { RxCollection } from "rxdb/plugins/core"
import { findOverwritten, type FieldClash, type FieldGroups, type MergeableRow } from "./merge-fields.ts"
import { signature } from "./signature.ts"

export interface RowPatch<Row> {
  readonly fields: Partial<Row> | ((row: Row) => Partial<Row>)
  /** What the author saw when they began; left out for writes that take only a moment. */
  readonly seen?: Partial<Row> | undefined
  readonly groups: FieldGroups
  /** What somebody else wrote meanwhile and this write replaces. */
  readonly overwritten: (clash: FieldClash) => void
}

/** Writes some fields of a row and signs them. False when there is no such row (any more). */
export async function patchRow<Row extends MergeableRow>(
  collection: RxCollection<Row>,
  id: string,
  { fields, seen = {}, groups, overwritten }: RowPatch<Row>,
): Promise<boolean> {
  const found = await collection.findOne(id).exec()
  if (found === null) return false
  let clashes: readonly FieldClash[] = []
  await found.incrementalModify((row) => {
    const changed = typeof fields === "function" ? fields(row) : fields
    const next = { ...row, ...changed, ...signature(groups, changed, row.edits) }
    clashes = findOverwritten<Row>(row, next, seen, groups)
    return next
  })
  clashes.forEach(overwritten)
  return true
}
