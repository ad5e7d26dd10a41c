import { expect, test } from "vitest"
import { startsWithBytes } from "./same-bytes.ts"

test("nothing longer than the whole is a prefix of it", () => {
  expect(startsWithBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2))).toBe(true)
  expect(startsWithBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(2))).toBe(false)
  expect(startsWithBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false)
})
