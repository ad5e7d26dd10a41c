import { expect, it } from "vitest"
import { readTitles } from "./pasted-titles.ts"

it("each line is a title, without the marks of a list", () => {
  const list =
    "- Count birds\r\n\r\n  * Borrow a scope\n- [x] Print sheets\n12. Call the office\n3) Pack\nA - B"
  expect(readTitles(list)).toEqual([
    "Count birds",
    "Borrow a scope",
    "Print sheets",
    "Call the office",
    "Pack",
    "A - B",
  ])
})

it("a line without text is no title, and a long one is cut", () => {
  expect(readTitles(" \n\t\n")).toEqual([])
  expect(readTitles("- \n-5 degrees")).toEqual(["-", "-5 degrees"])
  expect(readTitles("x".repeat(500))[0]).toHaveLength(200)
  expect(readTitles(`${"x".repeat(199)}😀 and more`)).toEqual(["x".repeat(199)])
})
