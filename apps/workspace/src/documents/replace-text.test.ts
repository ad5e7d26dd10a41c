import { describe, expect, it } from "vitest"
import { changedPart } from "./replace-text.ts"

describe("changedPart", () => {
  it.each([
    ["one three", "one two three", "wo t"],
    ["one two three", "one three", ""],
    ["", "all of it", "all of it"],
    ["aaa", "aaaa", "a"],
    ["a🐦b", "a🐧b", "🐧"],
    ["same", "same", ""],
  ])("from %j to %j", (now, next, part) => {
    const { start, end } = changedPart(now, next)
    expect(next.slice(start, end)).toBe(part)
    expect(now.startsWith(next.slice(0, start)) && now.endsWith(next.slice(end))).toBe(true)
  })
})
