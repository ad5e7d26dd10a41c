import { describe, expect, test } from "vitest"
import vectors from "../../vectors/frames.json" with { type: "json" }
import { ByteReader } from "./byte-reader.ts"
import { DecodeError } from "./decode-error.ts"
import type { Frame } from "./frame.ts"
import { decodeFrame, encodeFrame } from "./frame-codec.ts"
import { bytesToHex, hexToBytes } from "./hex.ts"
import { decodeMessage, encodeMessage } from "./message.ts"
import { decodeRangeRecord, encodeRangeRecord, type RangeRecord } from "./range-record.ts"
import { mixFingerprint } from "./reconcile.ts"

/** The vectors are the protocol: a change that breaks one breaks every other implementation, and needs a new version. */
function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value !== "object" || value === null) return value
  if ("hex" in value && typeof value.hex === "string") return hexToBytes(value.hex)
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fromJson(inner)]))
}

type Bytes =
  | string
  | { readonly head: string; readonly byte: string; readonly times: number; readonly tail: string }

function bytesOf(bytes: Bytes): Uint8Array {
  if (typeof bytes === "string") return hexToBytes(bytes)
  return hexToBytes(bytes.head + bytes.byte.repeat(bytes.times) + bytes.tail)
}

function errorOf(decode: () => unknown): string {
  try {
    decode()
    return "decoded"
  } catch (error) {
    if (error instanceof DecodeError) return error.code
    throw error
  }
}

describe("a frozen frame", () => {
  for (const { name, frame, bytes } of vectors.frames) {
    test(`encodes and decodes: ${name}`, () => {
      const plain = fromJson(frame) as Frame
      expect(bytesToHex(encodeFrame(plain))).toBe(bytes)
      expect(decodeFrame(hexToBytes(bytes))).toEqual(plain)
    })
  }

  test("is there for every type", () => {
    const types = new Set(vectors.frames.map(({ bytes }) => Number.parseInt(bytes.slice(0, 2), 16)))
    const known = Array.from({ length: 256 }, (_, tag) => tag).filter(
      (tag) => errorOf(() => decodeFrame(Uint8Array.of(tag))) !== "unknown-tag",
    )
    expect([...types].toSorted((a, b) => a - b)).toEqual(known)
  })

  for (const { name, bytes, error } of vectors.invalidFrames) {
    test(`is refused: ${name}`, () => {
      expect(errorOf(() => decodeFrame(bytesOf(bytes as Bytes)))).toBe(error)
    })
  }
})

describe("a frozen message", () => {
  for (const { name, frames, bytes } of vectors.messages) {
    test(`holds its frames: ${name}`, () => {
      expect(bytesToHex(encodeMessage(frames.map(hexToBytes)))).toBe(bytes)
      const decoded = decodeMessage(hexToBytes(bytes))
      expect(decoded.map(({ frame }) => bytesToHex(encodeFrame(frame)))).toEqual(frames)
    })
  }

  for (const { name, bytes, error } of vectors.invalidMessages) {
    test(`is refused: ${name}`, () => {
      expect(errorOf(() => decodeMessage(hexToBytes(bytes)))).toBe(error)
    })
  }
})

describe("a frozen record", () => {
  for (const { name, record, bytes } of vectors.records) {
    test(`encodes and decodes: ${name}`, () => {
      expect(bytesToHex(encodeRangeRecord(record as RangeRecord))).toBe(bytes)
      expect(decodeRangeRecord(new ByteReader(hexToBytes(bytes)))).toEqual(record)
    })
  }

  for (const { name, bytes, error } of vectors.invalidRecords) {
    test(`is refused: ${name}`, () => {
      expect(errorOf(() => decodeRangeRecord(new ByteReader(hexToBytes(bytes))))).toBe(error)
    })
  }
})

test("fingerprints mix as frozen", () => {
  for (const { salt, mixed, ...fingerprint } of vectors.fingerprints) {
    expect(mixFingerprint(fingerprint, salt)).toBe(mixed)
  }
})
