import { LoroDoc, type LoroText } from "loro-crdt"
import { describe, expect, test } from "vitest"
import { readStepChange, type StepChange } from "./step-change.ts"

function changeOf(edit: (body: LoroText, doc: LoroDoc) => void, before = ""): StepChange {
  const doc = new LoroDoc()
  doc.setPeerId("1")
  doc.getText("body").insert(0, before)
  doc.commit()
  const counter = doc.opCount()
  edit(doc.getText("body"), doc)
  doc.commit()
  return readStepChange(doc.exportJsonInIdSpan({ peer: "1", counter, length: doc.opCount() - counter }))
}

describe("what a step changed", () => {
  test("a slip of the finger is neither added nor removed", () => {
    const change = changeOf((body) => {
      for (const [at, letter] of Array.from('The "dumlin').entries()) body.insert(at, letter)
      for (const at of [10, 9, 8, 7]) body.delete(at, 1)
      body.insert(7, "nlin")
      body.delete(4, 1)
    }, "")
    expect(change).toEqual({ added: 10, removed: 0, excerpt: "The dunlin", isVisible: true })
  })

  test("what was there before is removed, and the longest piece is told", () => {
    const change = changeOf((body) => {
      body.delete(0, 4)
      body.insert(0, "A ")
      body.insert(9, "grey 🐦 and\nmany more")
    }, "The flock of birds")
    expect(change.removed).toBe(4)
    expect(change.added).toBe(2 + Array.from("grey 🐦 and\nmany more").length)
    expect(change.excerpt).toBe("grey 🐦 and many more")
  })

  test("what is said about a text can be seen, a note of the application cannot", () => {
    expect(changeOf((_body, doc) => doc.getMap("meta").set("language", "de")).isVisible).toBe(true)
    expect(changeOf((_body, doc) => doc.getMap("people").set("x", 1)).isVisible).toBe(false)
  })

  test("a long paste is cut to a line", () => {
    const { excerpt, added } = changeOf((body) => body.insert(0, "word ".repeat(50_000)))
    expect(added).toBe(250_000)
    expect(excerpt).toHaveLength(100)
  })
})
