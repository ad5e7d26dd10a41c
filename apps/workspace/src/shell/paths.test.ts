import fc from "fast-check"
import { expect, it } from "vitest"
import { documentAt, documentPath } from "./paths.ts"

it("leads to any id by letters that no address takes for something else", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "binary" }), (id) => {
      expect(documentPath(id)).toMatch(/^\/documents\/[A-Za-z0-9_~-]+$/)
      expect(documentAt(documentPath(id))).toBe(id)
    }),
  )
  expect(documentPath("k3x9")).toBe("/documents/k3x9")
})

it("knows no document elsewhere", () => {
  expect(["/documents", "/board/k3x9", "/documents/a/b"].map(documentAt)).toEqual([null, null, null])
})
