import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import vectors from "../../vectors/index-blob.json" with { type: "json" }
import { type IndexEntry, packEntries } from "../testing/pack-entries.ts"
import { bytesToHex, hexToBytes } from "./hex.ts"
import { DecodeError } from "./decode-error.ts"
import { createFingerprintIndex, type FingerprintIndex } from "./fingerprint-index.ts"
import { decodeIndexBlob, encodeIndexBlob } from "./index-blob.ts"
import { sha256 } from "./sha256.ts"

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })
const entry = fc.record({
  position: bytes16,
  digest: bytes16,
  key: fc.string({ unit: "grapheme", maxLength: 12 }),
})
const head = fc.record({
  roomTag: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  cursor: fc.uint8Array({ maxLength: 40 }),
})

function indexOf(entries: Iterable<IndexEntry>): FingerprintIndex {
  const index = createFingerprintIndex()
  index.build(packEntries(entries))
  return index
}

function contentOf(index: FingerprintIndex): readonly string[] {
  const content: string[] = []
  index.forEachIn(0, 0, (position, digest, key) => {
    content.push(`${bytesToHex(position)} ${bytesToHex(digest)} ${key}`)
  })
  return content.toSorted()
}

describe("index blob", () => {
  test("brings back room, cursor and every entry", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), head, (entries, named) => {
        const index = indexOf(entries)
        const blob = decodeIndexBlob(encodeIndexBlob({ index, ...named }))
        expect(blob.roomTag).toEqual(named.roomTag)
        expect(blob.cursor).toEqual(named.cursor)
        const restored = createFingerprintIndex()
        restored.build(blob.entries)
        expect(contentOf(restored)).toEqual(contentOf(index))
      }),
    )
  })

  test("refuses every damaged blob by a DecodeError", () => {
    const blob = encodeIndexBlob({
      index: indexOf([
        { position: new Uint8Array(16).fill(1), digest: new Uint8Array(16).fill(2), key: "a" },
        { position: new Uint8Array(16).fill(3), digest: new Uint8Array(16).fill(4), key: "ß" },
      ]),
      roomTag: new Uint8Array(32).fill(5),
      cursor: Uint8Array.of(6),
    })
    for (let at = 0; at < blob.length; at++) {
      expect(() => decodeIndexBlob(blob.subarray(0, at))).toThrow(DecodeError)
      const flipped = blob.slice()
      flipped[at] = (flipped[at] ?? 0) ^ 0x41
      expect(() => decodeIndexBlob(flipped)).toThrow(DecodeError)
    }
  })

  test("refuses a count that the bytes cannot hold before it allocates for it", () => {
    const hostile = Uint8Array.of(2, ...new Uint8Array(32), 0, 0xff, 0xff, 0xff, 0x03, ...new Uint8Array(64))
    expect(() => decodeIndexBlob(hostile)).toThrow(DecodeError)
  })

  test.each([
    ["longer than the keys", 3, "truncated"],
    ["shorter than the keys", 1, "trailing-bytes"],
  ])("refuses lengths that are %s, whatever the checksum says", (_name, length, code) => {
    const index = indexOf([{ position: new Uint8Array(16), digest: new Uint8Array(16), key: "ab" }])
    const blob = encodeIndexBlob({ index, roomTag: new Uint8Array(32), cursor: new Uint8Array(0) })
    const body = blob.slice(0, -16)
    // The length of the key is before the length of all keys and the keys.
    body[body.length - 4] = length
    const forged = Uint8Array.of(...body, ...sha256(body).subarray(0, 16))
    expect(() => decodeIndexBlob(forged)).toThrow(code)
  })

  test("has the frozen bytes", () => {
    for (const { roomTag, cursor, entries, blob } of vectors.blobs) {
      const index = indexOf(
        entries.map(({ position, digest, key }) => ({
          position: hexToBytes(position),
          digest: hexToBytes(digest),
          key,
        })),
      )
      const encoded = encodeIndexBlob({ index, roomTag: hexToBytes(roomTag), cursor: hexToBytes(cursor) })
      expect(bytesToHex(encoded)).toBe(blob)
    }
  })
})
