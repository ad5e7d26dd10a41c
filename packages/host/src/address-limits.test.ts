import { expect, test } from "vitest"
import { createAddressLimits } from "./address-limits.ts"

const defaults = {
  addressConnectionsPerSecond: 10,
  addressConnectionBurst: 30,
  addressMaxConnections: 100,
  addressFailedJoinsPerMinute: 20,
  addressBlockMs: 600_000,
}

test("takes a burst of connections, then ten a second", () => {
  const limits = createAddressLimits(defaults)
  const first = Array.from({ length: 31 }, () => limits.open("a", 0))
  expect(first.filter((admission) => admission === "admitted")).toHaveLength(30)
  expect(first[30]).toBe("too-fast")
  expect(limits.open("a", 100)).toBe("admitted")
  expect(limits.open("a", 100)).toBe("too-fast")
  expect(limits.open("b", 100)).toBe("admitted")
})

test("takes a hundred at a time, and another when one has gone", () => {
  const limits = createAddressLimits({ ...defaults, addressConnectionBurst: 1000 })
  for (let index = 0; index < 100; index++) expect(limits.open("a", 0)).toBe("admitted")
  expect(limits.open("a", 0)).toBe("too-many")
  limits.closed("a", 0)
  expect(limits.open("a", 0)).toBe("admitted")
})

test("blocks an address after twenty failures in a minute, for ten minutes", () => {
  const limits = createAddressLimits(defaults)
  const blocked = Array.from({ length: 21 }, () => limits.failed("a", 0))
  expect(blocked.indexOf(true)).toBe(20)
  expect(limits.open("a", 1)).toBe("blocked")
  expect(limits.blockedFor("a", 1)).toBe(599_999)
  expect(limits.open("b", 1)).toBe("admitted")
  limits.sweep(300_000)
  expect(limits.open("a", 599_999)).toBe("blocked")
  expect(limits.open("a", 600_001)).toBe("admitted")
})

test("failures that are slow enough never block", () => {
  const limits = createAddressLimits(defaults)
  for (let minute = 0; minute < 60; minute++) {
    for (let index = 0; index < 20; index++)
      expect(limits.failed("a", minute * 60_000 + index * 3000)).toBe(false)
  }
})

test("0 turns the block off", () => {
  const limits = createAddressLimits({ ...defaults, addressBlockMs: 0 })
  for (let index = 0; index < 1000; index++) expect(limits.failed("a", 0)).toBe(false)
})

test("forgets addresses that are as good as new, and keeps those that are not", () => {
  const limits = createAddressLimits(defaults)
  limits.open("still here", 0)
  limits.open("gone", 0)
  limits.closed("gone", 0)
  for (let index = 0; index < 21; index++) limits.failed("blocked", 0)
  limits.sweep(10_000)
  expect(limits.size).toBe(2)
  limits.sweep(700_000)
  expect(limits.size).toBe(1)
})

test("the memory for addresses without a connection is bounded", () => {
  const limits = createAddressLimits(defaults)
  for (let index = 0; index < 60_000; index++) limits.failed(`address ${index}`, 0)
  expect(limits.size).toBe(50_000)
})
