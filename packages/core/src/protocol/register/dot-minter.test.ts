import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { compareDots, type Context, covers } from "./dot.ts"
import { createDotMinter, type DotMinter } from "./dot-minter.ts"
import { hlcFromMillis, MAX_CLOCK_LEAD_MS, MAX_HLC } from "./hlc.ts"

const NOW = 1_800_000_000_000

function minterAt(clock: { now: number }): DotMinter {
  let fresh = 0
  return createDotMinter({
    now: () => clock.now,
    freshIncarnation: () => (++fresh).toString(16).padStart(16, "0"),
  })
}

describe("dot minter", () => {
  test("never repeats a dot and always goes above what was seen, whatever the clock does", () => {
    const context = fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: MAX_HLC })), { maxLength: 3 })
    const steps = fc.array(fc.record({ seen: context, stepMs: fc.integer({ min: -1e9, max: 1e9 }) }), {
      minLength: 2,
      maxLength: 40,
    })
    fc.assert(
      fc.property(steps, (list) => {
        const clock = { now: NOW }
        const minter = minterAt(clock)
        const minted = new Set<string>()
        const lastByIncarnation = new Map<string, number>()
        for (const { seen, stepMs } of list) {
          clock.now = Math.max(0, clock.now + stepMs)
          const context: Context = new Map(seen.map(([author, hlc]) => [`f${author}`.padStart(16, "f"), hlc]))
          const dot = minter.mint(context)
          expect(covers(context, dot)).toBe(false)
          expect(minted.has(JSON.stringify(dot))).toBe(false)
          expect(dot.hlc).toBeGreaterThan(lastByIncarnation.get(dot.incarnation) ?? 0)
          expect(dot.hlc).toBeLessThanOrEqual(MAX_HLC)
          minted.add(JSON.stringify(dot))
          lastByIncarnation.set(dot.incarnation, dot.hlc)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test("a clock far in the future does not drag the clock of other documents after it", () => {
    const minter = minterAt({ now: NOW })
    const poisoned: Context = new Map([["ff".repeat(8), hlcFromMillis(NOW + 1e10)]])
    const ahead = minter.mint(poisoned)
    expect(ahead.hlc).toBeGreaterThan(hlcFromMillis(NOW + 1e10))
    const normal = minter.mint(new Map())
    expect(normal.hlc).toBeLessThan(hlcFromMillis(NOW + MAX_CLOCK_LEAD_MS))
    expect(normal.incarnation).not.toBe(ahead.incarnation)
    expect(compareDots(minter.mint(poisoned), ahead)).toBeGreaterThan(0)
  })

  test("follows the clocks of others up to five minutes", () => {
    const minter = minterAt({ now: NOW })
    minter.observe(new Map([["aa".repeat(8), hlcFromMillis(NOW + 60_000)]]))
    expect(minter.mint(new Map()).hlc).toBeGreaterThan(hlcFromMillis(NOW + 60_000))
  })

  test("leaves an incarnation that somebody else writes under", () => {
    const minter = minterAt({ now: NOW })
    const { incarnation, hlc } = minter.mint(new Map())
    minter.observe(new Map([[incarnation, hlc]]))
    expect(minter.mint(new Map()).incarnation).toBe(incarnation)
    minter.observe(new Map([[incarnation, hlc + 10_000_000]]))
    expect(minter.mint(new Map()).incarnation).not.toBe(incarnation)
  })
})
