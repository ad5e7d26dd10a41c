import { LoroDoc } from "loro-crdt"
import { expect, test } from "vitest"

import { isIntact } from "./blob-checksum.ts"

test("tells what Loro exported from what was changed of it, whatever its length", () => {
  const doc = new LoroDoc()
  for (let length = 0; length < 40; length++) {
    doc.getText("body").push("x".repeat(length))
    doc.commit()
    for (const blob of [doc.export({ mode: "snapshot" }), doc.export({ mode: "update" })]) {
      // Also as a view into a larger buffer.
      const view = Uint8Array.from([1, 2, 3, ...blob]).subarray(3)
      expect([isIntact(blob), isIntact(view)]).toEqual([true, true])
      for (let at = 16; at < blob.length; at += 7) {
        expect(isIntact(blob.map((byte, index) => (index === at ? byte ^ 4 : byte)))).toBe(false)
      }
      expect(isIntact(blob.slice(0, -1))).toBe(false)
    }
  }
  for (const bytes of [new Uint8Array(0), new Uint8Array(19)]) expect(isIntact(bytes)).toBe(false)
})
