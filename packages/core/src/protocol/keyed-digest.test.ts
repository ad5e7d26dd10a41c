import { createHash } from "node:crypto"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import vectors from "../../vectors/keyed-digest.json" with { type: "json" }
import { bytesToHex, hexToBytes } from "./hex.ts"
import { createKeyedDigest } from "./keyed-digest.ts"

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })

/** The documented bytes, hashed by another implementation. */
function reference(digestKey: Uint8Array, label: string, ...parts: readonly Uint8Array[]): string {
  const block = new Uint8Array(64)
  block.set(digestKey)
  block.set(new TextEncoder().encode(label), 32)
  const hash = createHash("sha256").update(block)
  for (const part of parts) hash.update(part)
  return hash.digest("hex").slice(0, 32)
}

describe("keyed digest", () => {
  test("hashes the documented bytes", () => {
    fc.assert(
      fc.property(
        bytes32,
        fc.string({ unit: "grapheme", maxLength: 300 }),
        fc.integer({ min: 0, max: 255 }),
        bytes32,
        (digestKey, key, kind, stateHash) => {
          const keyed = createKeyedDigest(digestKey)
          const utf8 = new TextEncoder().encode(key)
          const length =
            utf8.length < 128 ? [utf8.length] : [(utf8.length % 128) | 128, Math.floor(utf8.length / 128)]
          fc.pre(utf8.length < 16_384)
          expect(bytesToHex(keyed.position(key))).toBe(reference(digestKey, "dunlin position", utf8))
          expect(bytesToHex(keyed.digest(kind, key, stateHash))).toBe(
            reference(digestKey, "dunlin digest", Uint8Array.of(kind, ...length), utf8, stateHash),
          )
        },
      ),
    )
  })

  test("has the frozen values", () => {
    for (const { digestKey, kind, key, stateHash, position, digest } of vectors.entries) {
      const keyed = createKeyedDigest(hexToBytes(digestKey))
      expect(bytesToHex(keyed.position(key))).toBe(position)
      expect(bytesToHex(keyed.digest(kind, key, hexToBytes(stateHash)))).toBe(digest)
    }
  })

  test("refuses hashes of the wrong length", () => {
    const keyed = createKeyedDigest(new Uint8Array(32))
    expect(() => keyed.digest(0, "a", new Uint8Array(16))).toThrow(RangeError)
  })
})
