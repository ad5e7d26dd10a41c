import { sha256 } from "@noble/hashes/sha2.js"
import { expect, test } from "vitest"
import { contentHash } from "./content-hash.ts"

test("is SHA-256 whoever computes it, whole or in two parts", () => {
  for (const length of [0, 1, 55, 64, 510, 511, 512, 513, 5_000, 100_000]) {
    const message = Uint8Array.from({ length }, (_, index) => (index * 31) % 251)
    const expected = sha256(message)
    expect(contentHash(message)).toEqual(expected)
    for (const cut of [0, 2, length >> 1, length]) {
      expect(contentHash(message.subarray(0, cut), message.subarray(cut))).toEqual(expected)
    }
  }
})

test("returns bytes that a later call does not change", () => {
  const one = contentHash(new Uint8Array(1_000))
  const before = one.slice()
  contentHash(new Uint8Array(2_000))
  expect(one).toEqual(before)
  expect(one.constructor).toBe(Uint8Array)
  expect(one.buffer.byteLength).toBe(32)
})
