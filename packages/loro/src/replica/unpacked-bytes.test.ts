import fc from "fast-check"
import { LoroDoc } from "loro-crdt"
import { describe, expect, test } from "vitest"

import { countUnpackedBytes } from "./unpacked-bytes.ts"

const UNLIMITED = Number.MAX_SAFE_INTEGER

function snapshotOf(text: string): Uint8Array {
  const doc = new LoroDoc()
  doc.getText("body").insert(0, text)
  doc.commit()
  return doc.export({ mode: "snapshot" })
}

describe("the bytes that a snapshot unpacks to", () => {
  test("are at least what it holds", () => {
    for (const length of [100_000, 1_000_000, 8_000_000]) {
      // Once in the history and once in the state.
      expect(countUnpackedBytes(snapshotOf("x".repeat(length)), UNLIMITED)).toBeGreaterThan(2 * length)
    }
    const words = Array.from({ length: 20_000 }, (_, at) => `word${(at * 7_919) % 1_000} `).join("")
    const packed = snapshotOf(words)
    expect(packed.length).toBeLessThan(words.length)
    expect(countUnpackedBytes(packed, UNLIMITED)).toBeGreaterThan(2 * words.length)
    expect(countUnpackedBytes(packed, UNLIMITED)).toBeLessThan(4 * words.length)
  })

  test("are not counted beyond the limit", () => {
    const counted = countUnpackedBytes(snapshotOf("x".repeat(8_000_000)), 100_000)
    expect(counted).toBeGreaterThan(100_000)
    expect(counted).toBeLessThan(8_000_000)
  })

  test("are too many for a blob that is all beginnings", () => {
    const bytes = new Uint8Array(4_000_000)
    const view = new DataView(bytes.buffer)
    for (let at = 0; at + 16 < bytes.length; at += 16) {
      view.setUint32(at, 0x18_4d_22_04, true)
      view.setUint32(at + 7, (0x8000_0000 | (bytes.length - at - 11)) >>> 0, true)
    }
    // Each frame reaches to the end: that would be a quarter of a million passes, of which only a few are made.
    expect(countUnpackedBytes(bytes, 1e12)).toBeGreaterThan(1e12)
  })

  test("are a number whatever the bytes are", () => {
    const magic = fc.constantFrom([0x04, 0x22, 0x4d, 0x18], [0x02, 0x21, 0x4c, 0x18])
    const piece = fc.oneof(fc.array(fc.nat(255), { maxLength: 40 }), magic)
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const counted = countUnpackedBytes(Uint8Array.from(pieces.flat()), UNLIMITED)
        expect(counted).toBeGreaterThanOrEqual(0)
      }),
    )
  })
})
