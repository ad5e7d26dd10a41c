import fc from "fast-check"
import { expect, test } from "vitest"
import { canonicalJson } from "./json.ts"

test("a text is written as JSON.stringify writes it, whatever is in it", () => {
  const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 6 })
  fc.assert(
    fc.property(units, fc.string(), (codes, plain) => {
      const text = plain + String.fromCharCode(...codes)
      expect(canonicalJson(text)).toBe(JSON.stringify(text))
    }),
  )
  for (let code = 0; code <= 0xffff; code++) {
    const unit = String.fromCharCode(code)
    if (canonicalJson(unit) !== JSON.stringify(unit)) throw new Error(`U+${code.toString(16)} differs`)
  }
})
