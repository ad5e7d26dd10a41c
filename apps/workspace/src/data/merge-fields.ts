/** Who last wrote a group of fields, when, and which write of another author they had seen. */
export interface FieldEdit {
  /** Later than the edit it replaced, whatever the clock says: a device that is a day behind still counts. */
  readonly at: number
  /** Random id of the author's browser; breaks ties and tells authors apart. */
  readonly by: string
  /** The author's name, only to show. */
  readonly who: string
  /** `at` of the last edit by another author that this author's edits build on. */
  readonly saw: number
}

export type FieldEdits = { readonly [group: string]: FieldEdit }

export interface MergeableRow {
  readonly id: string
  readonly title: string
  readonly created: number
  readonly updated: number
  readonly editor: string
  readonly edits: FieldEdits
  readonly _deleted?: boolean
}

/** Fields that only make sense together are one group: a task's column and its rank there. */
export type FieldGroups = { readonly [group: string]: readonly string[] }

/** What becomes of a deletion that meets a change whose author did not know of it. */
export type DeletionRule = "wins" | "yields"

/** Two people chose different values for one field without knowing of each other. */
export interface FieldClash {
  readonly target: string
  readonly title: string
  readonly field: string
  readonly kept: string
  readonly keptBy: string
  readonly lost: string
  readonly lostBy: string
}

export interface Author {
  readonly id: string
  readonly name: string
}

const NO_EDIT: FieldEdit = { at: 0, by: "", who: "", saw: 0 }

/** The edits of a row after `author` wrote `groups` of it. */
export function recordEdits(
  edits: FieldEdits,
  groups: readonly string[],
  author: Author,
  now: number,
): FieldEdits {
  const next: Record<string, FieldEdit> = { ...edits }
  for (const group of groups) {
    const old = readEdit(edits[group])
    const at = Math.min(Math.max(now, old.at + 1), Number.MAX_SAFE_INTEGER)
    next[group] = { at, by: author.id, who: author.name, saw: old.by === author.id ? old.saw : old.at }
  }
  return next
}

/**
 * Group by group, the later edit wins. This is commutative, associative and idempotent, so every device gets the same.
 * A change wins over a deletion that yields, because a deleted task can be deleted again, but a lost sentence stays lost.
 */
export function mergeRows<Row extends MergeableRow>(
  a: Row,
  b: Row,
  groups: FieldGroups,
  deletion: DeletionRule = "yields",
): Row {
  if (a._deleted) return deletion === "wins" ? a : b
  if (b._deleted) return deletion === "wins" ? b : a
  const latest = isNewer(b, a) ? b : a
  const merged: Record<string, unknown> = { ...(latest as object), created: Math.min(a.created, b.created) }
  const edits: Record<string, FieldEdit> = {}
  for (const [group, fields] of Object.entries(groups)) {
    const winner = winnerOf(a, b, group, fields)
    for (const field of fields) merged[field] = fieldOf(winner, field)
    edits[group] = readEdit(winner.edits?.[group])
  }
  return { ...merged, edits } as unknown as Row
}

/** What a merge decided against somebody. Empty when one side had seen the other's value. */
export function findClashes<Row extends MergeableRow>(a: Row, b: Row, groups: FieldGroups): readonly FieldClash[] {
  if (a._deleted || b._deleted) return []
  return Object.entries(groups).flatMap(([group, fields]) => {
    const winner = winnerOf(a, b, group, fields)
    const loser = winner === a ? b : a
    const kept = readEdit(winner.edits?.[group])
    const lost = readEdit(loser.edits?.[group])
    const [field = group] = fields
    const values = [show(fieldOf(winner, field)), show(fieldOf(loser, field))] as const
    if (lost.at === 0 || kept.by === lost.by || lost.at <= kept.saw || values[0] === values[1]) return []
    return [{ target: a.id, title: winner.title, field, kept: values[0], keptBy: kept.who, lost: values[1], lostBy: lost.who }]
  })
} // prettier-ignore

/**
 * What a write of `next` over `row` takes from other authors without their knowledge: its author saw `seen`, and
 * somebody else has changed that since. Every device takes this write for the later one, so nothing else would notice.
 */
export function findOverwritten<Row extends MergeableRow>(
  row: Row,
  next: Row,
  seen: Partial<Row>,
  groups: FieldGroups,
): readonly FieldClash[] {
  const unseen = Object.entries(groups).filter(([, fields]) =>
    fields.some((field) => field in seen && show(fieldOf(seen, field)) !== show(fieldOf(row, field))),
  )
  const edits = unseen.map(([group]) => [group, { ...readEdit(next.edits[group]), saw: 0 }] as const)
  const blind = { ...next, edits: { ...next.edits, ...Object.fromEntries(edits) } }
  return findClashes(row, blind, Object.fromEntries(unseen))
}

/** Edits come from peers too. */
function readEdit(value: unknown): FieldEdit {
  const { at, by, who, saw } = (value ?? {}) as Record<string, unknown>
  if (!isTime(at) || typeof by !== "string") return NO_EDIT
  return {
    at,
    by: by.slice(0, 40),
    who: typeof who === "string" ? who.slice(0, 40) : "",
    saw: isTime(saw) ? saw : 0,
  }
}

function winnerOf<Row extends MergeableRow>(a: Row, b: Row, group: string, fields: readonly string[]): Row {
  const [one, two] = [readEdit(a.edits?.[group]), readEdit(b.edits?.[group])]
  if (one.at !== two.at) return one.at > two.at ? a : b
  if (one.by !== two.by) return one.by > two.by ? a : b
  return contentOf(a, fields) >= contentOf(b, fields) ? a : b
}

function isNewer(a: MergeableRow, b: MergeableRow): boolean {
  if (a.updated !== b.updated) return a.updated > b.updated
  return a.editor > b.editor
}

function contentOf(row: object, fields: readonly string[]): string {
  return JSON.stringify(fields.map((field) => fieldOf(row, field) ?? null))
}

function fieldOf(row: object, field: string): unknown {
  return (row as Readonly<Record<string, unknown>>)[field]
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(", ")
  if (typeof value === "boolean") return value ? "archived" : "not archived"
  return typeof value === "string" ? value : ""
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0
}
