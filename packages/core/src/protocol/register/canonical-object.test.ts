import fc from "fast-check"
import { expect, test } from "vitest"
import { DecodeError } from "../decode-error.ts"
import { canonicalJson, MAX_JSON_DEPTH, parseCanonicalObject } from "./json.ts"

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const accepts = (text: string): boolean => {
  try {
    parseCanonicalObject(encode(text))
    return true
  } catch (error) {
    if (error instanceof DecodeError) return false
    throw error
  }
}

const keys = fc.oneof(
  fc.string(),
  fc.integer({ min: 0, max: 12 }).map(String),
  fc.constantFrom("b", "a", "B"),
)
const objects = fc.object({ key: keys, maxDepth: 4, withNullPrototype: false, values: [fc.jsonValue()] })

test("takes the one text of an object, and no other", () => {
  fc.assert(
    fc.property(objects, (object) => {
      const plain = JSON.parse(JSON.stringify(object)) as Record<string, unknown>
      const written = JSON.stringify(plain)
      let canonical: string
      try {
        canonical = canonicalJson(plain)
      } catch {
        expect(accepts(written)).toBe(false)
        return
      }
      expect(parseCanonicalObject(encode(canonical))).toEqual({ object: plain, text: canonical })
      expect(accepts(written)).toBe(written === canonical)
      expect(accepts(` ${canonical}`)).toBe(false)
    }),
  )
})

test.each([
  '{"b":1,"a":2}',
  '{"9":1,"10":2}',
  '{"a":1,"a":1}',
  '{"a":1.0}',
  '{"a":1e2}',
  '{"a":-0}',
  '{"a":1e999}',
  '{"a":[1,]}',
  '{"a":1}}',
  '{"a":"\\u0041"}',
  '{"a":{"z":1,"b":{}}}',
  '{"a":[{"z":1,"b":{}}]}',
  '{"__proto__":1}',
  '{"a":[{"constructor":{}}]}',
  `${'{"a":'.repeat(MAX_JSON_DEPTH + 1)}{}${"}".repeat(MAX_JSON_DEPTH + 1)}`,
  `{"a":${"[".repeat(MAX_JSON_DEPTH)}${"]".repeat(MAX_JSON_DEPTH)}}`,
])("refuses %s", (text) => {
  expect(accepts(text)).toBe(false)
})

test("takes numbers as keys in the order of their letters", () => {
  expect(accepts('{"10":2,"9":1}')).toBe(true)
})

test("takes a text in its shortest spelling alone, however its escapes fall", () => {
  const pieces = fc.constantFrom("\\", '"', "n", "/", "u0041", "ud800", "u2028", "\u2028", "\u007f", "é", "a")
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), fc.array(pieces, { maxLength: 8 }), (key, member) => {
      const text = `{"${key.join("")}":"${member.join("")}"}`
      let written: string | null = null
      try {
        written = JSON.stringify(JSON.parse(text))
      } catch {
        // Not JSON at all.
      }
      expect(accepts(text)).toBe(written === text)
    }),
    { numRuns: 5_000 },
  )
})
