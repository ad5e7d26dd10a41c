import { cleanName } from "../device/profile.ts"

/** What the list knows about a document. The text lives in a Loro document with the same id. */
export interface DocumentEntry {
  readonly id: string
  readonly title: string
  readonly tags: readonly string[]
  readonly created: number
  readonly updated: number
  readonly archived: boolean
  /** Name of the person who changed it last, only to show. */
  readonly editor: string
}

export type Column = "todo" | "doing" | "done"

export interface Task {
  readonly id: string
  readonly title: string
  readonly note: string
  readonly column: Column
  /** Fractional index: tasks of a column are ordered by (rank, id). */
  readonly rank: string
  readonly created: number
  readonly updated: number
  readonly editor: string
}

export const COLUMNS: readonly { readonly id: Column; readonly name: string }[] = [
  { id: "todo", name: "To do" },
  { id: "doing", name: "Doing" },
  { id: "done", name: "Done" },
]

/** The name of a column. An id that belongs to no column is shown as it is. */
export function columnName(id: string): string {
  return COLUMNS.find((column) => column.id === id)?.name ?? id
}

/** The text that every workspace has, under the same id on every device. */
export const QUICK_NOTE = "quick-note"

export const MAX_TITLE = 200
/** Each character is an operation, and devices refuse a document of 4,194,304 (`maxDocumentOperations` of Loro's replica). */
export const MAX_BODY = 4_000_000
export const MAX_NOTE = 4_000
export const MAX_TAGS = 12
export const MAX_TAG = 40
/** ECMA-262: no date is further from 1970 than this, in milliseconds, and formatting one that is would throw. */
const MAX_TIME = 8_640_000_000_000_000

/** Entries come from peers, so every field is turned into what the screens expect, whatever it was. */
export function readDocument(raw: Readonly<Record<string, unknown>>): DocumentEntry {
  return {
    id: text(raw["id"], 64),
    title: text(raw["title"], MAX_TITLE),
    tags: cleanTags(raw["tags"]),
    created: time(raw["created"]),
    updated: time(raw["updated"]),
    archived: raw["archived"] === true,
    editor: cleanName(raw["editor"]),
  }
}

export function readTask(raw: Readonly<Record<string, unknown>>): Task {
  return {
    id: text(raw["id"], 64),
    title: text(raw["title"], MAX_TITLE),
    note: text(raw["note"], MAX_NOTE),
    column: readColumn(raw["column"]),
    rank: text(raw["rank"], 200),
    created: time(raw["created"]),
    updated: time(raw["updated"]),
    editor: cleanName(raw["editor"]),
  }
}

export function cleanTags(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return []
  const tags = value.slice(0, 100).map((tag) => text(tag, MAX_TAG).trim()).filter((tag) => tag !== "") // prettier-ignore
  return [...new Set(tags)].slice(0, MAX_TAGS)
}

function readColumn(value: unknown): Column {
  return COLUMNS.find((column) => column.id === value)?.id ?? "todo"
}

function text(value: unknown, max: number): string {
  return typeof value === "string" ? value.slice(0, max) : ""
}

/** A time that no date can show counts as unknown, which is 0. */
export function time(value: unknown): number {
  return typeof value === "number" && Math.abs(value) <= MAX_TIME ? value : 0
}
