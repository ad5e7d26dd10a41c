import { describe, expect, it } from "vitest"
import { mapKey } from "../protocol/map-key.ts"
import { createOwed } from "./owed.ts"

const digest = (first: number): Uint8Array => new Uint8Array(16).fill(first)

describe("owed", () => {
  it("owes an entry until the peer holds that very digest", () => {
    const owed = createOwed()
    owed.add("a", digest(1))
    owed.holds("a", digest(2).subarray(0, 8))
    expect(owed.includes()).toBe(true)
    owed.holds("a", digest(1).subarray(0, 8))
    expect(owed.includes()).toBe(false)
  })

  it("tells apart the entries that somebody asks for", () => {
    const owed = createOwed()
    owed.add("a", digest(1))
    expect(owed.includes(new Set(["b"]))).toBe(false)
    expect(owed.includes(new Set(["b", "a"]))).toBe(true)
  })

  it("gives its positions away once", () => {
    const owed = createOwed()
    owed.add(mapKey(digest(7)), digest(1))
    expect(owed.take()).toEqual([digest(7)])
    expect(owed.take()).toEqual([])
  })

  it("owes everything once it cannot list more, until both sides agree", () => {
    const owed = createOwed()
    for (let at = 0; at < 9_000; at++) owed.add(String(at), digest(1))
    for (let at = 0; at < 9_000; at++) owed.holds(String(at), digest(1))
    expect(owed.includes(new Set(["of nobody"]))).toBe(true)
    expect(owed.take()).toBeNull()
    expect(owed.includes()).toBe(false)
  })
})
