import { expect, it } from "vitest"
import { cutText } from "./cut-text.ts"

it("cuts a text at a length, and before a character that would be halved", () => {
  expect(cutText("dunlin", 6)).toBe("dunlin")
  expect(cutText("dunlins", 6)).toBe("dunlin")
  expect(cutText("dunli😀", 6)).toBe("dunli")
  expect(cutText("dunl😀n", 6)).toBe("dunl😀")
})
