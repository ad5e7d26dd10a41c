import { describe, expect, test } from "vitest"
import { problemOfKey } from "./entry-key.ts"
import { MAX_KEY_BYTES } from "./limits.ts"

describe("a key", () => {
  test("may take as many bytes as peers accept, and no more", () => {
    expect(problemOfKey("k".repeat(MAX_KEY_BYTES))).toBeNull()
    expect(problemOfKey("k".repeat(MAX_KEY_BYTES + 1))).toContain("4096 bytes")
    expect(problemOfKey("é".repeat(MAX_KEY_BYTES / 2))).toBeNull()
    expect(problemOfKey("é".repeat(MAX_KEY_BYTES / 2) + "k")).toContain("4096 bytes")
  })

  test("is text that UTF-8 can carry", () => {
    expect(problemOfKey("🐦")).toBeNull()
    expect(problemOfKey("🐦".slice(0, 1))).toContain("surrogate")
    expect(problemOfKey("a" + "🐦".slice(1))).toContain("surrogate")
  })
})
