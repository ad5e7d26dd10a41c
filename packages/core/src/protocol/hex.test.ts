import * as fc from "fast-check"
import { expect, test } from "vitest"
import { bytesToHex, hexToBytes } from "./hex.ts"

test("hex gives the bytes back, and takes nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (value) => {
      expect(hexToBytes(bytesToHex(value))).toEqual(value)
    }),
  )
  for (const text of ["0", "0g", " 00", "0x00"]) expect(() => hexToBytes(text)).toThrow(RangeError)
})
