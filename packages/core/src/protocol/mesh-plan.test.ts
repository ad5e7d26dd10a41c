import fc from "fast-check"
import { describe, expect, it } from "vitest"
import vectors from "../../vectors/mesh-plan.json" with { type: "json" }
import { isLeafId, leafId, planMesh } from "./mesh-plan.ts"

const idBytes = fc.uint8Array({ minLength: 16, maxLength: 16 })
const ids = fc.uniqueArray(idBytes.map(hexOf), { minLength: 2, maxLength: 60 })
const relayIds = fc.uniqueArray(
  idBytes.map((id) => hexOf(leafId(id, false))),
  { minLength: 2, maxLength: 60 },
)

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}

/** Ids that spread like random ones and are the same in every run. */
function idOf(seed: number, isLeaf = false): string {
  const words = [1, 2, 3, 4].map((n) => Math.imul(seed + 1, 0x9e37_79b1 * n) >>> 0)
  const bytes = Buffer.alloc(16)
  for (const [at, word] of words.entries()) {
    bytes.writeUInt32BE(Math.imul(word ^ (word >>> 15), 0x2c1b_3c6d) >>> 0, at * 4)
  }
  return hexOf(leafId(bytes, isLeaf))
}

function createRoom(relayCount: number, leafCount: number) {
  const relays = Array.from({ length: relayCount }, (_, n) => idOf(n))
  const leaves = Array.from({ length: leafCount }, (_, n) => idOf(1_000 + n, true))
  return { relays, leaves, all: [...relays, ...leaves] }
}

function reachedFrom(first: string, links: (id: string) => Iterable<string>): ReadonlySet<string> {
  const reached = new Set([first])
  for (const id of reached) for (const next of links(id)) reached.add(next)
  return reached
}

function plannedFor(id: string, all: readonly string[], maxLinks: number): ReadonlySet<string> {
  const { ring, chords } = planMesh(id, all, maxLinks)
  return new Set([...ring, ...chords])
}

describe("planMesh", () => {
  it.each(vectors)("has the frozen links: $name", ({ maxLinks, ids: all, links }) => {
    const planned = all.map((id) => [...plannedFor(id, all, maxLinks)].map((other) => all.indexOf(other)))
    expect(planned.map((places) => places.toSorted((a, b) => a - b))).toEqual(links)
  })

  it("gives both ends of an edge the same answer, and nobody more links than the limit", () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 2, max: 12 }), (all, maxLinks) => {
        const plans = new Map(all.map((id) => [id, plannedFor(id, all, maxLinks)]))
        for (const [id, plan] of plans) {
          expect(plan.size).toBeLessThanOrEqual(maxLinks)
          for (const other of plan) expect(plans.get(other)?.has(id)).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  it("keeps the room in one piece with any one peer gone", () => {
    fc.assert(
      fc.property(relayIds, fc.nat(), (all, pick) => {
        const gone = all[pick % all.length] as string
        const rest = all.filter((id) => id !== gone)
        const links = (id: string): string[] => [...plannedFor(id, all, 8)].filter((next) => next !== gone)
        expect(reachedFrom(rest[0] as string, links).size).toBe(rest.length)
      }),
      { numRuns: 60 },
    )
  })

  it("keeps the room in one piece with only two links a peer", () => {
    const { all } = createRoom(20, 0)
    for (const maxLinks of [2, 3, 4, 5]) {
      expect(reachedFrom(idOf(0), (id) => plannedFor(id, all, maxLinks)).size).toBe(20)
    }
  })

  it("uses most of the links it may have, and changes few when one peer comes", () => {
    const { all } = createRoom(200, 0)
    const before = new Map(all.map((id) => [id, plannedFor(id, all, 12)]))
    const mean = [...before.values()].reduce((sum, plan) => sum + plan.size, 0) / all.length
    expect(mean).toBeGreaterThan(7)
    const after = new Map(all.map((id) => [id, plannedFor(id, [...all, idOf(999)], 12)]))
    let changed = 0
    for (const id of all) for (const other of before.get(id) ?? []) if (!after.get(id)?.has(other)) changed++
    expect(changed).toBeLessThan(60)
  })
})

describe("planMesh with leaves", () => {
  it("marks the last bit of an id, and nothing else", () => {
    fc.assert(
      fc.property(idBytes, fc.boolean(), (id, isLeaf) => {
        const marked = leafId(id, isLeaf)
        expect(isLeafId(hexOf(marked))).toBe(isLeaf)
        expect([marked[15]! >> 1, ...marked.subarray(0, 15)]).toEqual([id[15]! >> 1, ...id.subarray(0, 15)])
      }),
    )
  })

  it("keeps relays in one piece and attaches every leaf to one of them, or to two where there is room", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 15 }), fc.integer({ min: 0, max: 80 }), (relayCount, perCent) => {
        const { relays, leaves, all } = createRoom(relayCount, Math.floor((relayCount * 10 * perCent) / 80))
        fc.pre(all.length > 13)
        const plans = new Map(all.map((id) => [id, plannedFor(id, all, 12)]))
        const linksAmongRelays = (id: string): string[] =>
          [...(plans.get(id) ?? [])].filter((other) => !isLeafId(other))
        expect(reachedFrom(idOf(0), linksAmongRelays).size).toBe(relayCount)
        for (const plan of plans.values()) expect(plan.size).toBeLessThanOrEqual(12)
        const least = leaves.length <= (relayCount - 1) * 4 ? 2 : 1
        for (const leaf of leaves) expect(linksAmongRelays(leaf).length).toBeGreaterThanOrEqual(least)
        expect(relays.every((relay) => linksAmongRelays(relay).length > 0 || relayCount === 1)).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  it("keeps leaves in one piece without their relays, which may accept entries from nobody", () => {
    for (const maxLinks of [4, 8, 12]) {
      const { leaves, all } = createRoom(2, 12)
      const links = (id: string): string[] => [...plannedFor(id, all, maxLinks)].filter(isLeafId)
      expect(reachedFrom(leaves[0] as string, links).size).toBe(12)
    }
  })

  it("links leaves that are too many to each other", () => {
    const { relays, leaves, all } = createRoom(2, 60)
    expect(leaves.filter((leaf) => relays.some((relay) => plannedFor(leaf, all, 12).has(relay))).length).toBe(
      20,
    )
    expect(reachedFrom(idOf(0), (id) => plannedFor(id, all, 12)).size).toBe(62)
    // Also when the last relay has gone.
    expect(reachedFrom(leaves[0] as string, (id) => plannedFor(id, leaves, 12)).size).toBe(60)
  })

  it("moves few links when a leaf or a relay comes", () => {
    const { all } = createRoom(20, 60)
    const linksOf = (room: readonly string[]): readonly string[] =>
      room.flatMap((id) => [...plannedFor(id, room, 12)].map((other) => `${id} ${other}`))
    const before = new Set(linksOf(all))
    const added = (id: string): number => linksOf([...all, id]).filter((link) => !before.has(link)).length / 2
    expect(added(idOf(2_000, true))).toBeLessThan(12)
    expect(added(idOf(2_000))).toBeLessThan(40)
  })
})
