import type { ByteReader } from "./byte-reader.ts"
import type { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"

/** How to write and read a value on the wire. Reading is total over hostile input: it returns a value or throws `DecodeError`. */
export interface Field<Value> {
  write(to: ByteWriter, value: Value): void
  /** The result shares no memory with the input. */
  read(from: ByteReader): Value
}

/** A field for each member of an object, in the order of the wire. */
export type FieldsOf<Value> = { readonly [Name in keyof Value]: Field<Value[Name]> }

export function struct<Value extends object>(fields: FieldsOf<Value>): Field<Value> {
  const names = Object.keys(fields) as unknown as readonly (keyof Value)[]
  return {
    write(to, value) {
      for (const name of names) fields[name].write(to, value[name])
    },
    read(from) {
      const value: Partial<Value> = {}
      for (const name of names) value[name] = fields[name].read(from)
      return value as Value
    },
  }
}

export const U8: Field<number> = { write: (to, value) => void to.u8(value), read: (from) => from.u8() }
export const U32: Field<number> = { write: (to, value) => void to.u32(value), read: (from) => from.u32() }
export const FLAG: Field<boolean> = { write: (to, value) => void to.flag(value), read: (from) => from.flag() }

/** A safe integer. */
export function varint(max?: number): Field<number> {
  return { write: (to, value) => void to.varint(value), read: (from) => from.varint(max) }
}

/** Bytes of a fixed length, which is not written. */
export function bytes(length: number): Field<Uint8Array> {
  return { write: (to, value) => void to.bytes(value), read: (from) => from.copy(length) }
}

/** Bytes preceded by their length. */
export function block(max: number): Field<Uint8Array> {
  return { write: (to, value) => void to.block(value), read: (from) => from.block(max).slice() }
}

export function text(maxBytes: number): Field<string> {
  return { write: (to, value) => void to.text(value), read: (from) => from.text(maxBytes) }
}

/** All that is left of the frame; longer than `max` is "frame-too-large". */
export function rest(max: number, what: string): Field<Uint8Array> {
  return {
    write: (to, value) => void to.bytes(value),
    read(from) {
      if (from.remaining > max) throw new DecodeError("frame-too-large", what)
      return from.copy()
    },
  }
}

/** The same, except that the encoder of the frame writes it: see `splitFrame`. */
export function payload(max: number, what: string): Field<Uint8Array> {
  return { ...rest(max, what), write() {} }
}

/** A value or null, preceded by a flag. */
export function optional<Value>(field: Field<Value>): Field<Value | null> {
  return {
    write(to, value) {
      to.flag(value !== null)
      if (value !== null) field.write(to, value)
    },
    read: (from) => (from.flag() ? field.read(from) : null),
  }
}

/** Items preceded by their count, which is refused if the rest of the frame cannot hold that many of `minBytes` each. */
export function list<Item>(item: Field<Item>, max: number, minBytes: number): Field<readonly Item[]> {
  return {
    write(to, items) {
      to.varint(items.length)
      for (const one of items) item.write(to, one)
    },
    read: (from) => Array.from({ length: from.count(max, minBytes) }, () => item.read(from)),
  }
}

/** A value, written as its index in `values`. */
export function oneOf<Value>(values: readonly Value[], what: string): Field<Value> {
  return checked(
    { write: (to, value) => void to.u8(values.indexOf(value)), read: (from) => values[from.u8()] as Value },
    (value) => value !== undefined,
    what,
  )
}

/** Reads only values that pass; any other is a "bad-value". */
export function checked<Value>(
  field: Field<Value>,
  passes: (value: Value) => boolean,
  what: string,
): Field<Value> {
  return {
    write: field.write,
    read(from) {
      const value = field.read(from)
      if (!passes(value)) throw new DecodeError("bad-value", what)
      return value
    },
  }
}
