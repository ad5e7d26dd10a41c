import fc from "fast-check"
import type { PeerID } from "loro-crdt"
import { describe, expect, test } from "vitest"

import { decodeDelta, type DocumentDelta, encodeDelta, parseDelta } from "./document-delta.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const version = new Map<PeerID, number>([
  ["258", 300],
  ["1", 5],
])

// As docs/protocol/loro.md has it: changed bytes are another protocol.
const VECTORS: Record<string, { readonly delta: DocumentDelta; readonly bytes: string }> = {
  push: { delta: { type: "push", update: Uint8Array.of(1, 2, 3) }, bytes: "0100 010203" },
  "audited push": {
    delta: {
      type: "push",
      audit: { base: new Uint8Array(8).fill(0xaa), content: new Uint8Array(8).fill(0xbb) },
      update: Uint8Array.of(1, 2, 3),
    },
    bytes: "0104 aaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbb 010203",
  },
  update: {
    delta: { type: "update", version, update: Uint8Array.of(9) },
    bytes: "0101 02 0000000000000001 05 0000000000000102 ac02 09",
  },
  snapshot: {
    delta: { type: "snapshot", version: new Map(), snapshot: Uint8Array.of(9) },
    bytes: "0102 00 09",
  },
  tombstone: { delta: { type: "tombstone" }, bytes: "0103" },
}

describe("deltas", () => {
  test.each(Object.entries(VECTORS))("%s", (_, { delta, bytes }) => {
    const whole = bytes.replaceAll(" ", "")
    expect(hex(encodeDelta(delta))).toBe(whole)
    expect(decodeDelta(new Uint8Array(Buffer.from(whole, "hex")))).toEqual(delta)
  })

  test("are read or refused, whatever they are", () => {
    const bytes = fc.tuple(fc.constantFrom(0, 1), fc.nat(6), fc.uint8Array({ maxLength: 60 }))
    fc.assert(
      fc.property(bytes, ([format, tag, rest]) => {
        expect(parseDelta(Uint8Array.of(format, tag, ...rest))).toHaveProperty("type")
      }),
    )
  })
})
