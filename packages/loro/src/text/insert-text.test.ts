import { LoroDoc, type PeerID } from "loro-crdt"
import { describe, expect, test } from "vitest"

import { insertText } from "./insert-text.ts"
import { createTextUndo } from "./text-undo.ts"

/** Two documents that hold "start end"; `order` says whether the first has the lower or the higher peer id. */
function pairOf(order: "lower" | "higher"): readonly [LoroDoc, LoroDoc] {
  const [a, b] = [new LoroDoc(), new LoroDoc()]
  a.setPeerId((order === "lower" ? "1" : "9") as PeerID)
  b.setPeerId("5")
  a.getText("body").insert(0, "start end")
  a.commit()
  b.import(a.export({ mode: "update" }))
  return [a, b]
}

function merge(a: LoroDoc, b: LoroDoc): string {
  a.import(b.export({ mode: "update", from: a.version() }))
  b.import(a.export({ mode: "update", from: b.version() }))
  const text = a.getText("body").toString()
  expect(b.getText("body").toString()).toBe(text)
  return text
}

describe("a long insertion", () => {
  test("is what was given, one change and one undo, and splits no pair", () => {
    for (const inserted of ["", "a", `a${"🐦".repeat(10_000)}`, "🐦".repeat(10_000), "x".repeat(8_192)]) {
      const doc = new LoroDoc()
      const text = doc.getText("body")
      text.insert(0, "start end")
      doc.commit()
      const undo = createTextUndo(doc)
      insertText(text, 6, inserted)
      doc.commit()
      expect(text.toString()).toBe(`start ${inserted}end`)
      const copy = new LoroDoc()
      copy.import(doc.export({ mode: "update" }))
      expect(copy.getText("body").toString()).toBe(`start ${inserted}end`)
      if (inserted === "") continue
      undo.undo()
      expect(text.toString()).toBe("start end")
      undo.redo()
      expect(text.toString()).toBe(`start ${inserted}end`)
      undo.close()
    }
  })

  test.for(["lower", "higher"] as const)("stays in one piece beside others at its place: %s", (order) => {
    const [a, b] = pairOf(order)
    const [ours, theirs] = ["a".repeat(20_000), "b".repeat(20_000)]
    insertText(a.getText("body"), 6, ours)
    insertText(b.getText("body"), 6, theirs)
    const text = merge(a, b)
    expect([`start ${ours}${theirs}end`, `start ${theirs}${ours}end`]).toContain(text)
    // And beside an insertion that was typed forwards.
    a.getText("body").insert(6, "typed")
    insertText(b.getText("body"), 6, "c".repeat(20_000))
    expect(merge(a, b)).toMatch(/typed.*c{20000}|c{20000}typed/)
  })

  test.for(["lower", "higher"] as const)(
    "merges with a word that somebody else typed in a time that does not stand out: %s",
    { timeout: 120_000 },
    (order) => {
      const inserted = "0123456789".repeat(24_000)
      const took = (insert: (doc: LoroDoc) => void): number => {
        const [a, b] = pairOf(order)
        insert(a)
        b.getText("body").insert(6, "remote ")
        const start = performance.now()
        expect(merge(a, b)).toContain(inserted)
        return performance.now() - start
      }
      const atOnce = took((doc) => doc.getText("body").insert(6, inserted))
      const inPieces = took((doc) => insertText(doc.getText("body"), 6, inserted))
      expect(inPieces * 4).toBeLessThan(atOnce)
    },
  )
})
