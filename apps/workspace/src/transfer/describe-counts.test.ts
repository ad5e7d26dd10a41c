import { expect, it } from "vitest"
import { describeCounts } from "./describe-counts.ts"

it("counts in words", () => {
  expect(describeCounts(1, 3)).toBe("1 document and 3 tasks")
  expect(describeCounts(0, 1)).toBe("0 documents and 1 task")
})
