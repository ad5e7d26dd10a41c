import { describe, expect, it } from "vitest"
import { excerptOf } from "./excerpt.ts"

describe("excerptOf", () => {
  it.each([
    ["", "Title", ""],
    ["# Winter count\n\nTwo people a sector.", "Winter count: how we do it", "Two people a sector."],
    ["# Another heading\n\nText", "Title", "Another heading Text"],
    ["# Title", "Title", "Title"],
    ["| Day | Low |\n| --- | :---: |\n| Fri | 06:31 |", "Tide table", "Day, Low Fri, 06:31"],
    ["- one\n2. two\n> **three** `four`", "", "one two three four"],
    ["---\n\nafter a rule", "", "after a rule"],
    ["a - b -- c | d", "", "a - b -- c | d"],
  ])("of %j", (text, title, expected) => {
    expect(excerptOf(text, title)).toBe(expected)
  })

  it("is cut behind a word, and says so", () => {
    expect(excerptOf("a walk along the shore ".repeat(10), "")).toMatch(
      /^(a walk along the shore )+[a-z ]*[a-z]…$/,
    )
    expect(excerptOf("x".repeat(200), "")).toBe(`${"x".repeat(119)}…`)
  })

  it("is short, whatever the text", () => {
    expect(excerptOf("word ".repeat(1_000), "")).toHaveLength(120)
    expect(excerptOf("| ".repeat(100_000), "").length).toBeLessThanOrEqual(120)
  })
})
