import type { RxJsonSchema } from "rxdb/plugins/core"
import type { FieldEdits, FieldGroups } from "./merge-fields.ts"

export interface DocumentRow {
  id: string
  title: string
  tags: string[]
  created: number
  updated: number
  archived: boolean
  editor: string
  edits: FieldEdits
}

export interface TaskRow {
  id: string
  title: string
  note: string
  column: string
  rank: string
  created: number
  updated: number
  editor: string
  edits: FieldEdits
}

/** The text of a document as last seen on this device: for search, excerpts, and reading when Loro cannot load. */
export interface BodyRow {
  id: string
  text: string
}

/** A field for which two people chose different values while apart. */
export interface MergeRow {
  id: string
  kind: string
  target: string
  title: string
  field: string
  kept: string
  keptBy: string
  lost: string
  lostBy: string
  at: number
  seen: boolean
}

const id = { type: "string", maxLength: 64 } as const
const string = { type: "string" } as const
const number = { type: "number" } as const
const object = { type: "object" } as const
const boolean = { type: "boolean" } as const

/** Groups of fields that are merged as one; the first field names the group in "Merged changes". */
export const DOCUMENT_GROUPS = {
  title: ["title"],
  tags: ["tags"],
  archived: ["archived"],
} as const satisfies FieldGroups
export const TASK_GROUPS = {
  title: ["title"],
  note: ["note"],
  place: ["column", "rank"],
} as const satisfies FieldGroups

/**
 * Devices exchange entries only if name, version and hash of a schema agree. Raise the version with each change to a
 * schema that peers share: a device with another version then says so instead of mixing data.
 */
export const documentSchema: RxJsonSchema<DocumentRow> = {
  title: "documents",
  version: 0,
  type: "object",
  primaryKey: "id",
  properties: {
    id,
    title: string,
    tags: { type: "array", items: string },
    created: number,
    updated: number,
    archived: boolean,
    editor: string,
    edits: object,
  },
  required: ["id", "title", "tags", "created", "updated", "archived", "editor", "edits"],
}

export const taskSchema: RxJsonSchema<TaskRow> = {
  title: "tasks",
  version: 0,
  type: "object",
  primaryKey: "id",
  properties: {
    id,
    title: string,
    note: string,
    column: string,
    rank: string,
    created: number,
    updated: number,
    editor: string,
    edits: object,
  },
  required: ["id", "title", "note", "column", "rank", "created", "updated", "editor", "edits"],
}

export const bodySchema: RxJsonSchema<BodyRow> = {
  title: "bodies",
  version: 0,
  type: "object",
  primaryKey: "id",
  properties: { id, text: string },
  required: ["id", "text"],
}

export const mergeSchema: RxJsonSchema<MergeRow> = {
  title: "merges",
  version: 0,
  type: "object",
  primaryKey: "id",
  properties: {
    id: { type: "string", maxLength: 100 },
    kind: string,
    target: string,
    title: string,
    field: string,
    kept: string,
    keptBy: string,
    lost: string,
    lostBy: string,
    at: number,
    seen: boolean,
  },
  required: ["id", "kind", "target", "title", "field", "kept", "keptBy", "lost", "lostBy", "at", "seen"],
}
