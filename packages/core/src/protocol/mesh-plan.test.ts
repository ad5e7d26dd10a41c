import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { planMesh } from "./mesh-plan.ts"

const ids = fc.uniqueArray(
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  { minLength: 2, maxLength: 60 },
)

function plannedFor(id: string, all: readonly string[], maxLinks: number): ReadonlySet<string> {
  const { ring, chords } = planMesh(id, all, maxLinks)
  return new Set([...ring, ...chords])
}

describe("planMesh", () => {
  it("gives both ends of an edge the same answer, and nobody more links than the limit", () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 12 }), (all, maxLinks) => {
        const plans = new Map(all.map((id) => [id, plannedFor(id, all, maxLinks)]))
        for (const [id, plan] of plans) {
          expect(plan.size).toBeLessThanOrEqual(maxLinks)
          for (const other of plan) expect(plans.get(other)?.has(id)).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  it("links everyone in a small room", () => {
    const all = Array.from({ length: 13 }, (_, n) => n.toString(16).padStart(32, "0"))
    expect(planMesh(all[4] as string, all, 12).ring.size).toBe(12)
  })

  it("keeps the room in one piece with any one peer gone", () => {
    fc.assert(
      fc.property(ids, fc.nat(), (all, pick) => {
        const gone = all[pick % all.length] as string
        const rest = all.filter((id) => id !== gone)
        const reached = new Set<string>([rest[0] as string])
        const open = [rest[0] as string]
        for (let id = open.pop(); id !== undefined; id = open.pop()) {
          for (const next of plannedFor(id, all, 8)) {
            if (next === gone || reached.has(next)) continue
            reached.add(next)
            open.push(next)
          }
        }
        expect(reached.size).toBe(rest.length)
      }),
      { numRuns: 60 },
    )
  })

  it("keeps the room in one piece with only two links a peer", () => {
    const all = Array.from({ length: 20 }, (_, n) => (n * 0x0badcafe).toString(16).padStart(32, "0"))
    for (const maxLinks of [2, 3, 4, 5]) {
      const reached = new Set<string>()
      const reach = (id: string): void => {
        if (reached.has(id)) return
        reached.add(id)
        for (const next of plannedFor(id, all, maxLinks)) reach(next)
      }
      reach(all[0] as string)
      expect(reached.size).toBe(20)
    }
  })

  it("uses most of the links it may have, and changes few when one peer comes", () => {
    const random = (seed: number): string => {
      const words = [1, 2, 3, 4].map((n) => Math.imul(seed + 1, 0x9e37_79b1 * n) >>> 0)
      return words
        .map((word) => (Math.imul(word ^ (word >>> 15), 0x2c1b_3c6d) >>> 0).toString(16).padStart(8, "0"))
        .join("")
    }
    const all = Array.from({ length: 200 }, (_, n) => random(n))
    const before = new Map(all.map((id) => [id, plannedFor(id, all, 12)]))
    const mean = [...before.values()].reduce((sum, plan) => sum + plan.size, 0) / all.length
    expect(mean).toBeGreaterThan(7)
    const after = new Map(all.map((id) => [id, plannedFor(id, [...all, random(999)], 12)]))
    let changed = 0
    for (const id of all) for (const other of before.get(id) ?? []) if (!after.get(id)?.has(other)) changed++
    expect(changed).toBeLessThan(60)
  })
})
