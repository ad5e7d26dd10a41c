import { describe, expect, it } from "vitest"
import { createState } from "../ports/state.ts"
import { isLeafId } from "../protocol/mesh-plan.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createMeshLinks } from "./mesh-links.ts"

function idOf(n: number, isLeaf = false): string {
  const word = (Math.imul(n + 1, 0x9e37_79b1) >>> 0).toString(16).padStart(8, "0")
  return word.repeat(4).slice(0, -1) + (isLeaf ? "1" : "0")
}

function createRoom(maxLinks: number, self = idOf(0)) {
  const time = createSimulatedTime()
  const present = new Set<string>()
  const linked = new Set<string>()
  const isReader = createState(isLeafId(self))
  const room = { moves: 0 }
  const mesh = createMeshLinks({
    self,
    host: { clock: time.clock(), linkLimit: maxLinks, isReader },
    misplaced: () => void room.moves++,
    present: () => [...present],
    linked: () => [...linked],
    wanted: (id) => void linked.add(id),
    surplus: (id) => void linked.delete(id),
  })
  const arrive = (...numbers: number[]): void => {
    for (const n of numbers) present.add(idOf(n))
    mesh.changed()
  }
  return { time, present, linked, mesh, arrive, isReader, room }
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
    // Nothing is remembered of a peer that left.
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
      .map((n) => idOf(n))
      .find((id) => mesh.wants(id)) as string
    const before = linked.size
    const unplanned = upTo(30)
      .map((n) => idOf(n))
      .find((id) => !mesh.wants(id)) as string
    expect(mesh.makeRoom(unplanned)).toBe(false)
    expect(mesh.makeRoom(planned)).toBe(true)
    expect(linked.size).toBe(before - 1)
  })

  it("makes room for one who has just come, whom only a new plan names", () => {
    const { present, linked, mesh, arrive } = createRoom(12)
    arrive(...upTo(60))
    const [surplus = ""] = upTo(60)
      .map((n) => idOf(n))
      .filter((id) => !linked.has(id))
    linked.add(surplus)
    const next = idOf(0).slice(0, -2) + "20"
    present.add(next)
    mesh.changed()
    const before = linked.size
    expect(mesh.makeRoom(next)).toBe(true)
    expect(linked.size).toBe(before - 1)
  })

  it("asks for another id once it hears that it is a reader, and only where the room is large", async () => {
    const { time, arrive, isReader, room } = createRoom(12)
    arrive(...upTo(12))
    isReader.set(true)
    await time.runFor(10_000)
    expect(room.moves).toBe(0)
    arrive(...upTo(30))
    expect(room.moves).toBe(1)
    const large = createRoom(12)
    large.arrive(...upTo(30))
    await time.runFor(10_000)
    expect(large.room.moves).toBe(0)
    large.isReader.set(true)
    await large.time.runFor(1_000)
    expect(large.room.moves).toBe(1)
  })

  it("links a reader to two writers, and waits while it has one until newcomers have shown what they are", async () => {
    const { time, present, linked, mesh, arrive, room } = createRoom(12, idOf(0, true))
    arrive(...upTo(30))
    expect(linked.size).toBe(2)
    const [lost = "", kept = ""] = linked
    linked.delete(lost)
    present.delete(lost)
    mesh.changed()
    await time.runFor(1_500)
    expect([...linked]).toEqual([kept])
    await time.runFor(1_000)
    expect(linked.size).toBe(2)
    for (const id of linked) present.delete(id)
    linked.clear()
    mesh.changed()
    await time.runFor(500)
    expect(linked.size).toBe(2)
    expect(room.moves).toBe(0)
  })

  it("calls no readers: they call", () => {
    const { present, linked, mesh } = createRoom(12)
    for (const n of upTo(8)) present.add(idOf(n))
    for (const n of upTo(12)) present.add(idOf(100 + n, true))
    mesh.changed()
    expect([...linked].filter(isLeafId)).toEqual([])
    expect([...present].filter((id) => isLeafId(id) && mesh.wants(id)).length).toBeGreaterThan(1)
  })

  it("starts nothing once closed", async () => {
    const { time, linked, mesh, arrive } = createRoom(12)
    mesh.close()
    arrive(...upTo(5))
    await time.runFor(10_000)
    expect(linked.size).toBe(0)
  })
})
