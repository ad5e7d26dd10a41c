import { describe, expect, test } from "vitest"
import { createUnconfirmed, type Unconfirmed } from "./unconfirmed.ts"

function create(): Unconfirmed {
  let count = 0
  return createUnconfirmed(() => ++count)
}

describe("what a peer is not known to hold", () => {
  test("is confirmed up to the change that was sent, and no further", () => {
    const unconfirmed = create()
    const first = unconfirmed.changed("p")
    const second = unconfirmed.changed("p")
    unconfirmed.confirmed("p", first)
    expect(unconfirmed.confirmedUpTo(first)).toBe(true)
    expect(unconfirmed.confirmedUpTo(second)).toBe(false)
    unconfirmed.confirmed("p", second)
    expect(unconfirmed.size).toBe(0)
  })

  test("is asked about for some keys only", () => {
    const unconfirmed = create()
    const count = unconfirmed.changed("p")
    expect(unconfirmed.confirmedUpTo(count, new Set(["q"]))).toBe(true)
    expect(unconfirmed.confirmedUpTo(count, new Set(["p", "q"]))).toBe(false)
  })

  test("is confirmed by a peer that holds what is here, and once", () => {
    const unconfirmed = create()
    unconfirmed.changed("p")
    unconfirmed.changed("p")
    expect(unconfirmed.holds("p")).toBe(true)
    expect(unconfirmed.size).toBe(0)
    expect(unconfirmed.holds("p")).toBe(false)
  })

  test("is not confirmed by a change alone that was sent before the peer said that it holds something else", () => {
    const unconfirmed = create()
    const first = unconfirmed.changed("p")
    const second = unconfirmed.changed("p")
    unconfirmed.crossed("p")
    unconfirmed.crossed("unknown")
    const third = unconfirmed.changed("p")
    expect(unconfirmed.confirmed("p", first, true)).toBe(false)
    expect(unconfirmed.confirmed("p", second, true)).toBe(false)
    expect(unconfirmed.confirmedUpTo(first)).toBe(false)
    // Sent as a whole, the entry includes what the changes were based on.
    expect(unconfirmed.confirmed("p", second)).toBe(true)
    expect(unconfirmed.confirmedUpTo(second)).toBe(true)
    // Nothing contradicts what was sent since then.
    expect(unconfirmed.confirmed("p", third, true)).toBe(true)
    expect(unconfirmed.size).toBe(0)
  })

  test("does not belong to what the link had under the name before", () => {
    let count = 0
    const next = (): number => ++count
    const former = createUnconfirmed(next)
    const sent = former.changed("p")
    const renewed = createUnconfirmed(next)
    renewed.changed("p")
    expect(sent).toBeLessThan(renewed.since)
    renewed.confirmed("p", sent)
    expect(renewed.size).toBe(1)
  })

  test("is nothing once the peer holds everything", () => {
    const unconfirmed = create()
    unconfirmed.changed("p")
    unconfirmed.confirmAll()
    expect([unconfirmed.size, unconfirmed.confirmedUpTo(99)]).toEqual([0, true])
  })

  test("is no longer under way once it was refused, and refused until a later state is taken", () => {
    const unconfirmed = create()
    const first = unconfirmed.changed("p")
    unconfirmed.refused("p")
    expect([unconfirmed.size, unconfirmed.confirmedUpTo(first)]).toEqual([0, true])
    expect([unconfirmed.refusedUpTo(first), unconfirmed.refusedUpTo(first - 1)]).toEqual([true, false])
    expect(unconfirmed.refusedUpTo(first, new Set(["q"]))).toBe(false)
    const second = unconfirmed.changed("p")
    expect(unconfirmed.refusedUpTo(first)).toBe(true)
    unconfirmed.confirmed("p", second)
    expect(unconfirmed.refusedUpTo(second)).toBe(false)
    unconfirmed.refused("never sent")
    expect(unconfirmed.refusedUpTo(unconfirmed.changes)).toBe(true)
    unconfirmed.confirmAll()
    expect(unconfirmed.refusedUpTo(unconfirmed.changes)).toBe(false)
  })
})
