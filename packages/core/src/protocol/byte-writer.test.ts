import * as fc from "fast-check"
import { expect, test } from "vitest"
import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"

test("no byte is lost where the buffer grows", () => {
  fc.assert(
    fc.property(fc.nat(20), fc.uint8Array({ maxLength: 100 }), (capacity, bytes) => {
      const write = new ByteWriter(capacity + 1)
      for (const byte of bytes) write.u8(byte)
      expect(write.finish()).toEqual(bytes)
    }),
  )
})

test("a view shows what was written last, whatever the writer held before", () => {
  const written = fc.tuple(fc.uint8Array({ maxLength: 12 }), fc.boolean())
  fc.assert(
    fc.property(fc.nat(4), fc.array(written, { maxLength: 30 }), (capacity, texts) => {
      const write = new ByteWriter(capacity + 1)
      for (const [bytes, looks] of texts) {
        write.reset().bytes(bytes)
        if (looks) expect(write.view()).toEqual(bytes)
      }
    }),
    { numRuns: 1_000 },
  )
})

test("varints come back at any offset", () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat()), (values) => {
      const write = new ByteWriter(1)
      for (const value of values) write.varint(value)
      const read = new ByteReader(write.finish())
      expect(values.map(() => read.varint())).toEqual(values)
    }),
  )
})
