import { describe, expect, test } from "vitest"
import { createReconcileLease } from "./reconcile-lease.ts"

describe("a place to reconcile", () => {
  test("goes to four links with little to exchange", () => {
    const lease = createReconcileLease()
    const got = ["a", "b", "c", "d", "e"].map((link) => lease.acquire(link, false, 0))
    expect(got).toEqual([true, true, true, true, false])
    expect(lease.acquire("a", false, 0)).toBe(true)
    lease.release("b")
    expect(lease.acquire("e", false, 0)).toBe(true)
  })

  test("goes to one link alone while most is missing here", () => {
    const lease = createReconcileLease()
    expect(lease.acquire("a", true, 0)).toBe(true)
    expect(lease.acquire("b", false, 0)).toBe(false)
    lease.release("a")
    expect(lease.acquire("b", false, 0)).toBe(true)
    expect(lease.acquire("c", true, 0)).toBe(false)
  })

  test("is lost by who makes no progress, and kept by who does", () => {
    const lease = createReconcileLease()
    lease.acquire("a", true, 0)
    lease.renew("a", 1_500)
    expect(lease.acquire("b", true, 3_400)).toBe(false)
    expect(lease.acquire("b", true, 3_501)).toBe(true)
    expect(lease.acquire("a", true, 3_502)).toBe(false)
  })

  test("keeps others waiting for half a minute at most, however lively its holder looks", () => {
    const lease = createReconcileLease()
    expect(lease.acquire("slow", true, 0)).toBe(true)
    for (let now = 1_000; now < 30_000; now += 1_000) {
      lease.renew("slow", now)
      expect(lease.acquire("other", false, now)).toBe(false)
    }
    lease.renew("slow", 30_000)
    expect(lease.acquire("other", false, 30_000)).toBe(true)
  })
})
