import * as fc from "fast-check"
import { expect, test } from "vitest"
import { decodeUtf8, encodeUtf8 } from "./utf8.ts"

test("text comes back, short or long, ASCII or not", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 120 }), fc.string({ maxLength: 120 }))
  fc.assert(
    fc.property(text, (value) => {
      expect(decodeUtf8(encodeUtf8(value))).toBe(value)
      expect(encodeUtf8(value)).toEqual(new TextEncoder().encode(value))
    }),
  )
})

test("malformed bytes are refused, a byte order mark is kept", () => {
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
    expect(() => decodeUtf8(Uint8Array.from(bytes))).toThrow(TypeError)
  }
  expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa")
})
