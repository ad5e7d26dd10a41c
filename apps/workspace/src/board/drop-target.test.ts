import { describe, expect, it } from "vitest"
import { dropTarget, type ColumnBox } from "./drop-target.ts"

const boxes: readonly ColumnBox[] = [
  { column: "todo", left: 0, right: 300, rowsTop: 100, count: 3 },
  { column: "doing", left: 310, right: 610, rowsTop: -400, count: 50 },
]

describe("dropTarget", () => {
  it.each([
    [10, 90, { column: "todo", index: 0 }],
    [10, 100 + 70, { column: "todo", index: 1 }],
    [10, 5_000, { column: "todo", index: 3 }],
    [400, 100, { column: "doing", index: 6 }],
    [305, 100, null],
    [700, 100, null],
  ] as const)("at %i, %i", (x, y, expected) => {
    expect(dropTarget(boxes, x, y, 80)).toEqual(expected)
  })
})
