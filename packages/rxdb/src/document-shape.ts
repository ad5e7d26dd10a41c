import type { JsonObject, RegisterValue } from "@dunlin/core"
import type { RxCollection, RxDocumentData, RxJsonSchema, WithDeleted } from "rxdb"
import { getSchemaByObjectPath, objectPathMonad } from "rxdb/plugins/core"
import { type StoredAttachments, storedAttachments } from "./stored-attachments.ts"

/** A row as RxDB's storages keep it, of a collection whose document type is not known here. */
export type Row = RxDocumentData<DocumentData>
/** A document of a collection whose type is not known. */
export type DocumentData = Record<string, unknown>

export interface AttachmentStub {
  readonly digest: string
  readonly length: number
  readonly type: string
}
export type AttachmentStubs = { readonly [id: string]: AttachmentStub }

/**
 * How documents of a collection become payloads and back. A payload holds neither the primary key, which is the
 * entry's key, nor RxDB's own fields; attachments appear as stubs, and only when there are some.
 */
export interface DocumentShape {
  readonly primaryPath: string
  /** How its rows hold attachments. */
  readonly attachments: StoredAttachments
  keyOf(row: DocumentData): string
  /** The value of a row; its attachments as stubs. */
  valueOf(row: DocumentData): RegisterValue
  /** The document as handlers, modifiers and applications see it. */
  documentOf(key: string, value: RegisterValue): WithDeleted<DocumentData>
  /** Why a value from a peer cannot be a document of this collection; null when it can. */
  refusal(key: string, value: RegisterValue): string | null
}

/** Throws unless the value is a document. Application code may return anything, and it would replace the document. */
export function assertDocument(value: unknown): asserts value is DocumentData {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return
  const what = Array.isArray(value) ? "an array" : String(value)
  throw new TypeError(`it returned ${what.slice(0, MAX_SHOWN)} where a document is expected`)
}

const MAX_SHOWN = 40

const NEVER_SHARED = ["_deleted", "_rev", "_meta"] as const
const OWN_FIELDS: ReadonlySet<string> = new Set([...NEVER_SHARED, "_attachments"])

export function documentShape(collection: RxCollection): DocumentShape {
  const { primaryPath, jsonSchema } = collection.schema
  const path: string = primaryPath
  const holdsAttachments = jsonSchema.attachments !== undefined
  const attachments = storedAttachments(jsonSchema.attachments)
  const composed = typeof jsonSchema.primaryKey !== "string"
  const maxKeyLength = keyLength(jsonSchema.properties, path)
  const indexed = indexedFields(jsonSchema)

  return {
    primaryPath: path,
    attachments,
    keyOf: (row) => String(row[path]),
    valueOf(row) {
      if (row["_deleted"] === true) return { deleted: true, payload: {} }
      const payload: DocumentData = {}
      for (const field of Object.keys(row))
        if (field !== path && !OWN_FIELDS.has(field)) payload[field] = row[field]
      const stubs = attachments.sharedStubs(row)
      if (stubs !== null) payload["_attachments"] = stubs
      return { deleted: false, payload: payload as JsonObject }
    },
    documentOf: (key, { deleted, payload }) => ({ [path]: key, ...payload, _deleted: deleted }),
    refusal(key, { deleted, payload }) {
      if (key.length === 0 || key.length > maxKeyLength)
        return "its key is empty, or longer than the schema allows"
      if (deleted) return null
      if (Object.hasOwn(payload, path)) return "its payload contains its primary key"
      const reserved = NEVER_SHARED.find((field) => Object.hasOwn(payload, field))
      if (reserved !== undefined) return `it carries the reserved field ${reserved}`
      if (payload["_attachments"] !== undefined) {
        if (!holdsAttachments) return "it has attachments, which this collection's schema does not allow"
        if (!isStubs(payload["_attachments"])) return "its attachments are malformed"
      }
      if (composed && composedKey(collection, payload) !== key) return "its key does not match its fields"
      for (const field of indexed)
        if (!field.takes(field.read(payload)))
          return `its field ${field.path} has a type that an index cannot hold`
      return null
    },
  }
}

const NO_STUBS: readonly AttachmentStub[] = []

/** The attachments without their names. Most values have none, and this is asked several times per entry. */
export function attachmentListOf(value: RegisterValue): readonly AttachmentStub[] {
  return value.payload["_attachments"] === undefined ? NO_STUBS : Object.values(attachmentsOf(value))
}

/** The attachments a value refers to; none for a deleted one. */
export function attachmentsOf({ deleted, payload }: RegisterValue): AttachmentStubs {
  const stubs = deleted ? undefined : payload["_attachments"]
  return stubs !== undefined && isStubs(stubs) ? stubs : {}
}

function isStubs(value: unknown): value is AttachmentStubs {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  return Object.values(value).every((stub: unknown) => {
    if (typeof stub !== "object" || stub === null) return false
    const { digest, length, type } = stub as Record<string, unknown>
    return (
      typeof digest === "string" &&
      /^[0-9a-f]{64}$/.test(digest) &&
      typeof length === "number" &&
      Number.isSafeInteger(length) &&
      length >= 0 &&
      typeof type === "string"
    )
  })
}

function composedKey(collection: RxCollection, payload: JsonObject): string | null {
  try {
    return collection.schema.getPrimaryOfDocumentData(payload as DocumentData)
  } catch {
    return null
  }
}

function keyLength(properties: unknown, path: string): number {
  const property = (properties as Record<string, { readonly maxLength?: number }>)[path]
  return property?.maxLength ?? Number.MAX_SAFE_INTEGER
}

interface IndexedField {
  readonly path: string
  read(payload: JsonObject): unknown
  takes(value: unknown): boolean
}

/**
 * Some storages make texts of indexed values, and throw where that fails. RxDB's memory storage throws later, when
 * nobody can catch it: the document and those written with it are lost, and in Node the process ends.
 */
function indexedFields(schema: RxJsonSchema<DocumentData>): readonly IndexedField[] {
  const paths = new Set((schema.indexes ?? []).flat())
  return [...paths].flatMap((path) => {
    // The types say that there always is one; RxDB itself checks this only in its dev mode.
    const part = getSchemaByObjectPath(schema, path) as { readonly type?: unknown } | undefined
    const takes = part?.type === "string" ? isText : part?.type === "boolean" ? null : isPrimitive
    return takes === null ? [] : [{ path, read: objectPathMonad<JsonObject, unknown>(path), takes }]
  })
}

/** What is missing, null or empty counts as an empty text. */
const isText = (value: unknown): boolean => typeof value === "string" || !value

const isPrimitive = (value: unknown): boolean => typeof value !== "object" || value === null
