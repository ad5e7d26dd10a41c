import { hasBit, setBit } from "./bitmap.ts"
import type { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import { MAX_NODE_DEPTH } from "./fingerprint-index.ts"

/**
 * What one side says about the entries under a prefix: `depth` is the number of leading nibbles, `prefix` their value.
 * A record begins with `mode << 4 | depth` and the prefix in ⌈depth / 2⌉ bytes, an odd last nibble in the high half.
 */
export type RangeRecord =
  | SplitRecord
  | {
      readonly type: "items"
      readonly depth: number
      readonly prefix: number
      readonly items: readonly RangeItem[]
    }
  /** "I have nothing here: send me all of it." */
  | { readonly type: "all"; readonly depth: number; readonly prefix: number }
  /** "I lack these of the items you listed." */
  | {
      readonly type: "need"
      readonly depth: number
      readonly prefix: number
      readonly suffixes: readonly number[]
    }

/** Fingerprints of the children that are not empty: 16, or 256 two levels down. */
export interface SplitRecord {
  readonly type: "split"
  readonly depth: number
  readonly prefix: number
  readonly levels: 1 | 2
  /** By child; null where the child is empty. */
  readonly children: readonly (number | null)[]
}

export interface RangeItem {
  /** Bytes 2 to 6 of the position as a 40-bit number. */
  readonly suffix: number
  /** The first six bytes of the digest as a 48-bit number. */
  readonly digest: number
}

/** The most entries that one record lists, so that it always fits a RANGE frame. */
export const MAX_RECORD_ITEMS = 1_024
const MODE = { split: 1, wideSplit: 2, items: 3, all: 4, need: 5 } as const

/** Bytes 2 to 6. With the prefix of any node worth listing they identify an entry, except for chance collisions. */
export function suffixOf(position: Uint8Array): number {
  return uintAt(position, 2, 5)
}

export function itemDigestOf(digest: Uint8Array): number {
  return uintAt(digest, 0, 6)
}

export function encodeRangeRecord(record: RangeRecord): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(64)
  const { type, depth, prefix } = record
  const mode = MODE[type === "split" && record.levels === 2 ? "wideSplit" : type]
  write.u8((mode << 4) | depth)
  writeUint(write, depth % 2 === 1 ? prefix * 16 : prefix, Math.ceil(depth / 2))
  switch (type) {
    case "split": {
      const width = record.levels === 1 ? 16 : 256
      const bitmap = new Uint8Array(width / 8)
      const fingerprints = new ByteWriter(4 * width)
      for (let child = 0; child < width; child++) {
        const fingerprint = record.children[child]
        if (fingerprint === null || fingerprint === undefined) continue
        setBit(bitmap, child)
        fingerprints.u32(fingerprint)
      }
      write.bytes(bitmap).bytes(fingerprints.view())
      break
    }
    case "items":
      write.varint(record.items.length)
      for (const item of record.items) {
        writeUint(write, item.suffix, 5)
        writeUint(write, item.digest, 6)
      }
      break
    case "need":
      write.varint(record.suffixes.length)
      for (const suffix of record.suffixes) writeUint(write, suffix, 5)
      break
    case "all":
  }
  return write.finish()
}

/** Total over hostile input: one record, or a `DecodeError`. */
export function decodeRangeRecord(read: ByteReader): RangeRecord {
  const head = read.u8()
  const mode = head >> 4
  const depth = head & 15
  if (depth > MAX_NODE_DEPTH) throw new DecodeError("bad-value", "range depth")
  const prefix = readPrefix(read, depth)
  switch (mode) {
    case MODE.split:
      return readSplit(read, depth, prefix, 1)
    case MODE.wideSplit:
      return readSplit(read, depth, prefix, 2)
    case MODE.items: {
      const count = read.count(MAX_RECORD_ITEMS, 11)
      const items = Array.from({ length: count }, () => ({
        suffix: readUint(read, 5),
        digest: readUint(read, 6),
      }))
      return { type: "items", depth, prefix, items }
    }
    case MODE.all:
      return { type: "all", depth, prefix }
    case MODE.need: {
      const count = read.count(MAX_RECORD_ITEMS, 5)
      return { type: "need", depth, prefix, suffixes: Array.from({ length: count }, () => readUint(read, 5)) }
    }
    default:
      throw new DecodeError("unknown-tag", `range record ${mode}`)
  }
}

function readSplit(read: ByteReader, depth: number, prefix: number, levels: 1 | 2): SplitRecord {
  if (depth + levels > MAX_NODE_DEPTH) throw new DecodeError("bad-value", "split too deep")
  const width = levels === 1 ? 16 : 256
  const bitmap = read.bytes(width / 8)
  const children: (number | null)[] = []
  for (let child = 0; child < width; child++) {
    children.push(hasBit(bitmap, child) ? read.u32() : null)
  }
  return { type: "split", depth, prefix, levels, children }
}

function readPrefix(read: ByteReader, depth: number): number {
  const value = readUint(read, Math.ceil(depth / 2))
  if (depth % 2 === 0) return value
  if (value % 16 !== 0) throw new DecodeError("bad-value", "range prefix")
  return value / 16
}

function writeUint(write: ByteWriter, value: number, bytes: number): void {
  for (let shift = bytes - 1; shift >= 0; shift--) write.u8(Math.floor(value / 2 ** (8 * shift)) % 256)
}

function readUint(read: ByteReader, bytes: number): number {
  return uintAt(read.bytes(bytes), 0, bytes)
}

function uintAt(bytes: Uint8Array, at: number, length: number): number {
  let value = 0
  for (let index = at; index < at + length; index++) value = value * 256 + (bytes[index] as number)
  return value
}
