import { describe, expect, it } from "vitest"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createMeshLinks } from "./mesh-links.ts"

function idOf(n: number): string {
  return (Math.imul(n + 1, 0x9e37_79b1) >>> 0).toString(16).padStart(8, "0").repeat(4)
}

function createRoom(maxLinks: number) {
  const time = createSimulatedTime()
  const present = new Set<string>()
  const linked = new Set<string>()
  const mesh = createMeshLinks({
    self: idOf(0),
    clock: time.clock(),
    maxLinks,
    present: () => [...present],
    linked: () => [...linked],
    wanted: (id) => void linked.add(id),
    surplus: (id) => void linked.delete(id),
  })
  const arrive = (...numbers: number[]): void => {
    for (const n of numbers) present.add(idOf(n))
    mesh.changed()
  }
  return { time, present, linked, mesh, arrive }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1)

describe("mesh links", () => {
  it("links everyone while it can", async () => {
    const { time, linked, mesh, arrive } = createRoom(12)
    arrive(...upTo(12))
    expect(mesh.wants(idOf(7))).toBe(true)
    await time.runFor(1_000)
    expect(linked.size).toBe(12)
  })

  it("calls only the planned ones in a large room, from the first moment", () => {
    const { linked, mesh, arrive } = createRoom(12)
    arrive(...upTo(60))
    expect(linked.size).toBeLessThanOrEqual(12)
    expect(linked.size).toBeGreaterThanOrEqual(4)
    expect(upTo(60).filter((n) => mesh.wants(idOf(n))).length).toBe(linked.size)
  })

  it("gives up what the plan no longer names, one by one, once the ring stands", async () => {
    const { time, linked, mesh, arrive } = createRoom(12)
    arrive(...upTo(12))
    await time.runFor(1_000)
    arrive(...upTo(40))
    const surplus = [...linked].filter((id) => !mesh.wants(id))
    expect(surplus.length).toBeGreaterThan(0)
    await time.runFor(4_000)
    expect([...linked].filter((id) => !mesh.wants(id))).toEqual(surplus)
    await time.runFor(30_000)
    expect([...linked].filter((id) => !mesh.wants(id))).toEqual([])
  })

  it("keeps the link to one that is no longer there: it may have lost nothing but its server", async () => {
    const { time, present, linked, mesh, arrive } = createRoom(12)
    arrive(...upTo(12))
    await time.runFor(1_000)
    arrive(...upTo(40))
    const [cut, other] = [...linked].filter((id) => !mesh.wants(id)) as [string, string]
    present.delete(cut)
    mesh.changed()
    await time.runFor(30_000)
    expect([linked.has(cut), linked.has(other)]).toEqual([true, false])
    present.add(cut)
    mesh.changed()
    await time.runFor(30_000)
    expect(linked.has(cut)).toBe(false)
  })

  it("gives a link up once: whoever makes it again sees another list, and may have no other", async () => {
    const { time, present, linked, mesh, arrive } = createRoom(12)
    arrive(...upTo(12))
    await time.runFor(1_000)
    arrive(...upTo(40))
    const again = [...linked].find((id) => !mesh.wants(id)) as string
    await time.runFor(30_000)
    expect(linked.has(again)).toBe(false)
    linked.add(again)
    mesh.changed()
    await time.runFor(30_000)
    expect(linked.has(again)).toBe(true)
    // Nothing is remembered of one that left.
    present.delete(again)
    mesh.changed()
    await time.runFor(1_000)
    present.add(again)
    mesh.changed()
    await time.runFor(30_000)
    expect(linked.has(again)).toBe(false)
  })

  it("makes room for a planned caller by giving up one that is not", async () => {
    const { time, linked, mesh, arrive } = createRoom(6)
    arrive(...upTo(6))
    await time.runFor(1_000)
    arrive(...upTo(30))
    const planned = upTo(30)
      .map(idOf)
      .find((id) => mesh.wants(id)) as string
    const before = linked.size
    const unplanned = upTo(30)
      .map(idOf)
      .find((id) => !mesh.wants(id)) as string
    expect(mesh.makeRoom(unplanned)).toBe(false)
    expect(mesh.makeRoom(planned)).toBe(true)
    expect(linked.size).toBe(before - 1)
  })

  it("starts nothing once closed", async () => {
    const { time, linked, mesh, arrive } = createRoom(12)
    mesh.close()
    arrive(...upTo(5))
    await time.runFor(10_000)
    expect(linked.size).toBe(0)
  })
})
