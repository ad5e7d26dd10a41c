import { expect, test } from "vitest"
import { startsWithBytes } from "./same-bytes.ts"

test("a prefix is one of at most the whole", () => {
  expect(startsWithBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2))).toBe(true)
  expect(startsWithBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(2))).toBe(false)
  expect(startsWithBytes(Uint8Array.of(1), Uint8Array.of(1, 2))).toBe(false)
})
