import * as fc from "fast-check"
import { expect, test } from "vitest"
import { bytesEqual, bytesToHex, hexToBytes, mapKey, mapKeyBytes, startsWithBytes } from "./bytes-equal.ts"

const bytes = fc.uint8Array({ maxLength: 40 })

test("map keys stand for exactly one array, and give it back", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(mapKey(a) === mapKey(b)).toBe(bytesEqual(a, b))
      expect(mapKeyBytes(mapKey(a))).toEqual(a)
    }),
  )
})

test("hex gives the bytes back, and takes nothing else", () => {
  fc.assert(
    fc.property(bytes, (value) => {
      expect(hexToBytes(bytesToHex(value))).toEqual(value)
    }),
  )
  for (const text of ["0", "0g", " 00", "0x00"]) expect(() => hexToBytes(text)).toThrow(RangeError)
})

test("a prefix is one of at most the whole", () => {
  expect(startsWithBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2))).toBe(true)
  expect(startsWithBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(2))).toBe(false)
  expect(startsWithBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false)
})
