import { expect, it } from "vitest"
import { hangingClass } from "./line-layout.ts"

it("knows how wide the mark of a line is", () => {
  expect(hangingClass("- a point")).toBe("md-hang md-hang-bullet md-in-0")
  expect(hangingClass("  * a point in")).toBe("md-hang md-hang-bullet md-in-1")
  expect(hangingClass("12. the twelfth")).toBe("md-hang md-hang-number-2 md-in-0")
  expect(hangingClass("> quoted")).toBe("md-hang md-hang-quote md-in-0")
  for (const plain of ["", "-", "-no list", "# heading", "1989 was", "a - b", "| - |", "1234. too far"])
    expect(hangingClass(plain), plain).toBe("")
})
