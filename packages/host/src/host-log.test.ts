import { expect, test } from "vitest"
import { placeOfFault } from "./host-log.ts"

test("a fault is told by its kind and place, not by its message", () => {
  const fault = placeOfFault(new RangeError("of a token: eyJhbGciOi\nand its second line"))
  expect(fault).toMatch(/^RangeError\n\s+at .*host-log\.test\.ts/)
  expect(fault).not.toContain("eyJhbGciOi")
  expect(fault).not.toContain("second line")
  expect(placeOfFault("eyJhbGciOi")).toBe("string")
})
