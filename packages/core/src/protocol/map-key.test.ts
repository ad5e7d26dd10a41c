import * as fc from "fast-check"
import { expect, test } from "vitest"
import { mapKey, mapKeyBytes } from "./map-key.ts"
import { sameBytes } from "./same-bytes.ts"

const bytes = fc.uint8Array({ maxLength: 40 })

test("map keys stand for exactly one array, and give it back", () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(mapKey(a) === mapKey(b)).toBe(sameBytes(a, b))
      expect(mapKeyBytes(mapKey(a))).toEqual(a)
    }),
  )
})
