import { authorId, profile } from "../device/profile.ts"
import { recordEdits, type FieldEdits, type FieldGroups } from "./merge-fields.ts"

export interface Signature {
  readonly updated: number
  readonly editor: string
  readonly edits: FieldEdits
}

/** What a local write adds for the fields it changes: when, who, and which groups of fields. */
export function signature(groups: FieldGroups, fields: object, edits: FieldEdits): Signature {
  const now = Date.now()
  const touched = Object.keys(groups).filter((group) => groups[group]?.some((field) => field in fields))
  const { name } = profile.get()
  return { updated: now, editor: name, edits: recordEdits(edits, touched, { id: authorId, name }, now) }
}
