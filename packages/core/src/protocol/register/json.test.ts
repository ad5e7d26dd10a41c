import fc from "fast-check"
import { expect, test } from "vitest"
import { canonicalJson, cloneJson } from "./json.ts"

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

test.each([new Date(0), new Map([[1, 2]]), new Set([1]), /x/, new Uint8Array(2), Object("text")])(
  "refuses %o, of which nothing or something else would arrive",
  (value) => {
    for (const document of [{ value }, { deep: [{ value }] }])
      for (const take of [canonicalJson, cloneJson])
        expect(() => take(document)).toThrow(expect.objectContaining({ code: "unshareable" }) as Error)
  },
)

test("takes objects of any class, and those without a prototype", () => {
  const made = new (class {
    readonly x = 1
  })()
  const bare: unknown = Object.assign(Object.create(null), { x: 1 })
  expect([made, bare].map(canonicalJson)).toEqual(['{"x":1}', '{"x":1}'])
})
