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
