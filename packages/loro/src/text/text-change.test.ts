import fc from "fast-check"
import { describe, expect, test } from "vitest"

import {
  applySplice,
  findSplice,
  movePosition,
  type Splice,
  splicesOf,
  transformSplice,
} from "./text-change.ts"

const text = fc.string({ unit: fc.constantFrom("a", "b", "ab", "🐦", "🐤", "é", "\n"), maxLength: 30 })

describe("the splice between two texts", () => {
  test("leads from the one to the other, wherever the caret is, and splits no pair", () => {
    fc.assert(
      fc.property(text, text, fc.nat(60), (before, after, caret) => {
        const splice = findSplice(before, after, caret)
        if (splice === null) {
          expect(before).toBe(after)
          return
        }
        expect(applySplice(before, splice)).toBe(after)
        expect(splice.insert).not.toMatch(/\p{Surrogate}/u)
        expect(before.slice(splice.at, splice.at + splice.remove)).not.toMatch(/\p{Surrogate}/u)
      }),
      { numRuns: 2_000 },
    )
  })

  test("is what was typed, among its like too", () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.constantFrom("a", "b", "🐦"), (before, where, typed) => {
        const at = boundary(before, where)
        const after = before.slice(0, at) + typed + before.slice(at)
        expect(findSplice(before, after, at + typed.length)).toEqual({ at, remove: 0, insert: typed })
      }),
    )
  })

  test("is what was deleted, in both directions", () => {
    expect(findSplice("aaaa", "aaa", 1)).toEqual({ at: 1, remove: 1, insert: "" })
    expect(findSplice("abcd", "abd", 2)).toEqual({ at: 2, remove: 1, insert: "" })
    expect(findSplice("one two", "one", 3)).toEqual({ at: 3, remove: 4, insert: "" })
  })
})

describe("a splice after another one", () => {
  const disjoint = fc.record({
    before: text,
    at: fc.nat(),
    remove: fc.nat(5),
    insert: text,
    otherAt: fc.nat(),
    otherInsert: text,
  })

  test("keeps what the other inserted, wherever that was", () => {
    fc.assert(
      fc.property(disjoint, ({ before, at, remove, insert, otherAt, otherInsert }) => {
        const start = at % (before.length + 1)
        const splice: Splice = { at: start, remove: Math.min(remove, before.length - start), insert }
        const other: Splice = { at: otherAt % (before.length + 1), remove: 0, insert: `<${otherInsert}>` }
        let result = applySplice(before, other)
        for (const part of transformSplice(splice, other)) result = applySplice(result, part)
        const removed = splice.remove
        expect(result.length).toBe(before.length - removed + insert.length + other.insert.length)
        expect(result).toContain(other.insert)
        expect(result).toContain(insert)
      }),
      { numRuns: 1_000 },
    )
  })

  test("does not remove twice what both removed", () => {
    const [part] = transformSplice({ at: 2, remove: 4, insert: "x" }, { at: 4, remove: 4, insert: "" })
    expect(part).toEqual({ at: 2, remove: 2, insert: "x" })
    expect(transformSplice({ at: 5, remove: 1, insert: "" }, { at: 3, remove: 6, insert: "" })).toEqual([
      { at: 3, remove: 0, insert: "" },
    ])
  })
})

describe("a position", () => {
  test("stays with the text it stands in", () => {
    expect(movePosition(5, { at: 2, remove: 0, insert: "xyz" }, "before")).toBe(8)
    expect(movePosition(2, { at: 2, remove: 0, insert: "xyz" }, "before")).toBe(2)
    expect(movePosition(2, { at: 2, remove: 0, insert: "xyz" }, "after")).toBe(5)
    expect(movePosition(5, { at: 2, remove: 6, insert: "" }, "before")).toBe(2)
    expect(movePosition(1, { at: 2, remove: 6, insert: "q" }, "after")).toBe(1)
  })
})

test("a delta is its splices, one after another", () => {
  const delta = [{ retain: 1 }, { insert: "XY" }, { retain: 1 }, { delete: 2 }, { insert: "Z" }]
  let value = "abcdef"
  for (const splice of splicesOf(delta)) value = applySplice(value, splice)
  expect(value).toBe("aXYbZef")
})

function boundary(content: string, where: number): number {
  const at = where % (content.length + 1)
  return /[\uDC00-\uDFFF]/.test(content[at] ?? "") ? at - 1 : at
}
