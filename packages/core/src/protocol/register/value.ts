import { encodeUtf8 } from "../utf8.ts"
import { contentHash } from "./content-hash.ts"
import { type Incarnation, incarnationFromBytes, INCARNATION_BYTES } from "./dot.ts"
import { canonicalJson, type JsonObject } from "./json.ts"

/** When each field was last written, as hybrid clocks, for collections that merge field by field. */
export type FieldClocks = { readonly [field: string]: number }

/** What one write says. A tombstone has an empty payload, so that purging it frees what it held. */
export interface RegisterValue {
  readonly deleted: boolean
  readonly payload: JsonObject
  /** Left out where the document merges as a whole. */
  readonly fields?: FieldClocks
}

/**
 * A value with the 16-byte hash under which it was written. A schema migration changes the payload but not the hash, so
 * that peers that migrate independently stay equal.
 */
export interface HashedValue extends RegisterValue {
  readonly hash: Uint8Array
  /** The payload's canonical text, if it is at hand and is what was hashed. */
  readonly text?: string
}

export const VALUE_HASH_BYTES = 16
/** The field that stands for a document's existence: deleting and restoring it are writes like any other. */
export const DELETED_FIELD = "_deleted"

const NO_TEXT = new Uint8Array(0)
const EMPTY_PAYLOAD: JsonObject = Object.freeze({})

/** Throws `RegisterError` "unshareable" when the payload is not JSON within the bounds. */
export function hashValue(value: RegisterValue): HashedValue {
  const { deleted, payload, fields } = value
  return deleted ? tombstone(fields) : hashValueText(payload, fields, canonicalJson(payload))
}

/** The same for a value that is not deleted, from the payload's canonical text and, if at hand, its UTF-8. */
export function hashValueText(
  payload: JsonObject,
  fields: FieldClocks | undefined,
  text: string,
  utf8: Uint8Array = encodeUtf8(text),
): HashedValue {
  return withFields({ deleted: false, payload, hash: hashOf("v", fields, utf8), text }, fields)
}

function tombstone(fields: FieldClocks | undefined): HashedValue {
  const deletedAt = fields?.[DELETED_FIELD]
  const kept = deletedAt === undefined ? undefined : { [DELETED_FIELD]: deletedAt }
  return withFields({ deleted: true, payload: EMPTY_PAYLOAD, hash: hashOf("d", kept, NO_TEXT) }, kept)
}

function hashOf(kind: "v" | "d", fields: FieldClocks | undefined, utf8: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = fields === undefined ? `${kind}\n` : `${kind}${canonicalJson(fields)}\n`
  return contentHash(encodeUtf8(head), utf8, VALUE_HASH_BYTES)
}

function withFields(value: HashedValue, fields: FieldClocks | undefined): HashedValue {
  return fields === undefined ? value : { ...value, fields }
}

/** A sibling as a plain value. */
export function withoutDot({ deleted, payload, hash, fields, text }: HashedValue): HashedValue {
  const value = withFields({ deleted, payload, hash }, fields)
  return text === undefined ? value : { ...value, text }
}

/**
 * Derives the incarnation of a document that is older than Dunlin from its content: peers that imported the same data
 * independently hold equal states, and nothing travels.
 */
export function birthIncarnation(key: string, hash: Uint8Array): Incarnation {
  const name = encodeUtf8(key)
  const input = new Uint8Array(hash.length + name.length)
  input.set(hash)
  input.set(name, hash.length)
  return incarnationFromBytes(contentHash(input, undefined, INCARNATION_BYTES))
}
