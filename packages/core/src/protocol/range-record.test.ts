import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import { MAX_NODE_DEPTH } from "./fingerprint-index.ts"
import { MAX_RANGE_BYTES } from "./limits.ts"
import {
  decodeRangeRecord,
  encodeRangeRecord,
  itemDigestOf,
  MAX_RECORD_ITEMS,
  type RangeRecord,
  suffixOf,
} from "./range-record.ts"

const suffix = fc.integer({ min: 0, max: 2 ** 40 - 1 })
const nodeDownTo = (max: number): fc.Arbitrary<{ depth: number; prefix: number }> =>
  fc
    .integer({ min: 0, max })
    .chain((depth) => fc.record({ depth: fc.constant(depth), prefix: fc.nat(16 ** depth - 1) }))
const split = fc
  .constantFrom(1 as const, 2 as const)
  .chain((levels) =>
    fc.record({
      node: nodeDownTo(MAX_NODE_DEPTH - levels),
      levels: fc.constant(levels),
      children: fc.array(fc.option(fc.integer({ min: 0, max: 0xffff_ffff }), { nil: null }), {
        minLength: 16 ** levels,
        maxLength: 16 ** levels,
      }),
    }),
  )
  .map(({ node, levels, children }): RangeRecord => ({ type: "split", ...node, levels, children }))
const items = fc
  .record({
    node: nodeDownTo(MAX_NODE_DEPTH),
    items: fc.array(fc.record({ suffix, digest: fc.integer({ min: 0, max: 2 ** 48 - 1 }) }), {
      maxLength: 12,
    }),
  })
  .map((record): RangeRecord => ({ type: "items", ...record.node, items: record.items }))
const all = nodeDownTo(MAX_NODE_DEPTH).map((node): RangeRecord => ({ type: "all", ...node }))
const need = fc
  .record({ node: nodeDownTo(MAX_NODE_DEPTH), suffixes: fc.array(suffix, { maxLength: 12 }) })
  .map(({ node, suffixes }): RangeRecord => ({ type: "need", ...node, suffixes }))

function decode(bytes: Uint8Array): RangeRecord {
  const read = new ByteReader(bytes)
  const record = decodeRangeRecord(read)
  read.end()
  return record
}

describe("a range record", () => {
  for (const [name, arbitrary] of Object.entries({ split, items, all, need })) {
    test(`survives encoding and decoding: ${name}`, () => {
      fc.assert(
        fc.property(arbitrary, (record) => {
          expect(decode(encodeRangeRecord(record))).toEqual(record)
        }),
      )
    })
  }

  test("takes an odd nibble in the high half, and none in the low half", () => {
    const bytes = encodeRangeRecord({ type: "all", depth: 3, prefix: 0xabc })
    expect([...bytes]).toEqual([0x43, 0xab, 0xc0])
    expect(() => decode(Uint8Array.of(0x43, 0xab, 0xc1))).toThrow("range prefix")
  })

  test("never names a node too deep", () => {
    expect(() => decode(Uint8Array.of(0x49, 0, 0, 0, 0, 0))).toThrow("range depth")
    expect(() => decode(new ByteWriter().u8(0x18).u32(0).u16(0).finish())).toThrow("too deep")
    expect(() => decode(new ByteWriter().u8(0x27).u32(0).bytes(new Uint8Array(32)).finish())).toThrow(
      "too deep",
    )
  })

  test("fits a RANGE frame at its longest, and no item more", () => {
    const longest = Array.from({ length: MAX_RECORD_ITEMS }, (_, at) => ({ suffix: at, digest: at }))
    const record = { type: "items", depth: 8, prefix: 0, items: longest } as const
    expect(encodeRangeRecord(record).length).toBeLessThanOrEqual(MAX_RANGE_BYTES)
    expect(decode(encodeRangeRecord(record))).toEqual(record)
    const longer = { ...record, items: [...longest, { suffix: 1, digest: 1 }] }
    expect(() => decode(encodeRangeRecord(longer))).toThrow("too-many-items")
  })

  test("is refused with a mode that means nothing", () => {
    expect(() => decode(Uint8Array.of(0x00))).toThrow("unknown-tag")
    expect(() => decode(Uint8Array.of(0x60))).toThrow("unknown-tag")
  })

  test("throws nothing but a DecodeError on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (input) => {
        try {
          decode(input)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 3_000 },
    )
  })

  test("names an entry by bytes 2 to 6 of its position and the first six of its digest", () => {
    const position = Uint8Array.from({ length: 16 }, (_, at) => at + 1)
    expect(suffixOf(position)).toBe(0x03_0405_0607)
    expect(itemDigestOf(position)).toBe(0x0102_0304_0506)
  })
})
