import type { ByteReader } from "../byte-reader.ts"
import type { ByteWriter } from "../byte-writer.ts"
import { DecodeError } from "../decode-error.ts"
import { sameBytes } from "../same-bytes.ts"
import { encodeUtf8 } from "../utf8.ts"
import { MAX_HLC } from "./hlc.ts"
import { canonicalJson, MAX_PAYLOAD_BYTES, parseCanonicalObject } from "./json.ts"
import { type FieldClocks, hashValue, hashValueText, type HashedValue, VALUE_HASH_BYTES } from "./value.ts"

const PRESENT = 0x01
const DELETED = 0x02
const FIELDS = 0x04
/** The hash is not that of the content, because a schema migration has changed the payload since it was written. */
const CLAIMED_HASH = 0x08
const MAX_FIELDS = 4096
const MAX_FIELD_NAME_BYTES = 1024

/** A value, or one zero byte for none. */
export function writeValue(write: ByteWriter, value: HashedValue | null): void {
  if (value === null) {
    write.u8(0)
    return
  }
  const text = value.deleted ? "" : (value.text ?? canonicalJson(value.payload))
  const computed =
    value.text !== undefined
      ? value
      : value.deleted
        ? hashValue(value)
        : hashValueText(value.payload, value.fields, text)
  const claimed = !sameBytes(computed.hash, value.hash)
  write.u8(
    PRESENT |
      (value.deleted ? DELETED : 0) |
      (computed.fields === undefined ? 0 : FIELDS) |
      (claimed ? CLAIMED_HASH : 0),
  )
  if (claimed) write.bytes(value.hash)
  if (computed.fields !== undefined) writeFields(write, computed.fields)
  if (!value.deleted) write.block(encodeUtf8(text))
}

export function readValue(read: ByteReader): HashedValue | null {
  const flags = read.u8()
  if (flags === 0) return null
  if ((flags & PRESENT) === 0 || flags > 0x0f) throw new DecodeError("bad-value", "unknown value flags")
  const claimed = (flags & CLAIMED_HASH) === 0 ? null : read.copy(VALUE_HASH_BYTES)
  const fields = (flags & FIELDS) === 0 ? null : readFields(read)
  const value = (flags & DELETED) === 0 ? readLive(read, fields) : readTombstone(fields)
  if (claimed === null) return value
  if (sameBytes(claimed, value.hash)) throw new DecodeError("bad-value", "a redundant hash")
  const { deleted, payload } = value
  return withFields({ deleted, payload, hash: claimed }, value.fields ?? null)
}

function readLive(read: ByteReader, fields: FieldClocks | null): HashedValue {
  const utf8 = read.block(MAX_PAYLOAD_BYTES)
  const { object, text } = parseCanonicalObject(utf8)
  return hashValueText(object, fields ?? undefined, text, utf8)
}

function readTombstone(fields: FieldClocks | null): HashedValue {
  const value = hashValue(withFields({ deleted: true, payload: {} }, fields))
  if (fields !== null && (value.fields === undefined || Object.keys(fields).length !== 1))
    throw new DecodeError("bad-value", "field clocks on a tombstone")
  return value
}

function withFields<T extends object>(value: T, fields: FieldClocks | null): T & { fields?: FieldClocks } {
  return fields === null ? value : { ...value, fields }
}

/** Many fields share few distinct clocks: writes a table of clocks, then each name with an index into it. */
function writeFields(write: ByteWriter, fields: FieldClocks): void {
  const names = Object.keys(fields).toSorted()
  const clocks = [...new Set(Object.values(fields))].sort((a, b) => b - a)
  write.varint(clocks.length)
  let previous = MAX_HLC
  for (const clock of clocks) {
    write.varint(previous - clock)
    previous = clock
  }
  write.varint(names.length)
  for (const name of names) write.text(name).varint(clocks.indexOf(fields[name] as number))
}

function readFields(read: ByteReader): FieldClocks {
  const clocks: number[] = []
  const clockCount = read.count(MAX_FIELDS, 1)
  let previous = MAX_HLC
  for (let index = 0; index < clockCount; index++) {
    const step = read.varint(previous)
    if (step === 0 && index > 0) throw new DecodeError("bad-value", "field clocks not in order")
    previous -= step
    clocks.push(previous)
  }
  const fields: Record<string, number> = {}
  const used = new Set<number>()
  const fieldCount = read.count(MAX_FIELDS, 2)
  let lastName = ""
  for (let index = 0; index < fieldCount; index++) {
    const name = read.text(MAX_FIELD_NAME_BYTES)
    if (name === "__proto__" || (index > 0 && name <= lastName))
      throw new DecodeError("bad-value", "field names")
    const place = read.varint()
    const clock = clocks[place]
    if (clock === undefined) throw new DecodeError("bad-value", "a field without a clock")
    used.add(place)
    fields[name] = clock
    lastName = name
  }
  if (used.size !== clocks.length) throw new DecodeError("bad-value", "a clock without a field")
  return fields
}
