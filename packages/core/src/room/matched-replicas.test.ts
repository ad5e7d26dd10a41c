import { describe, expect, test } from "vitest"
import type { Replica } from "../ports/replica.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import type { AnnounceFrame } from "../protocol/frame.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import { createMatchedReplicas } from "./matched-replicas.ts"
import type { RoomReplica } from "./room-replica.ts"

const announcement = (slot: number, name: string, more: Partial<AnnounceFrame> = {}): AnnounceFrame => ({
  type: "announce",
  slot,
  name,
  kind: 1,
  schemaTag: "v1",
  direction: "both",
  count: 0,
  root: new Uint8Array(16),
  basis: null,
  ...more,
})

function roomReplica(name: string, schemaTag = "v1"): RoomReplica {
  const replica: Partial<Replica> = { name, kind: 1, schemaTag, direction: "both" }
  return { shared: { replica } } as unknown as RoomReplica
}

function create(...present: RoomReplica[]) {
  const log: string[] = []
  const rooms = new Set(present)
  const matched = createMatchedReplicas({
    rooms: () => rooms,
    create: (room, announced) => {
      const name = `${room.shared.replica.name}@${announced.slot}`
      const own: Partial<LinkReplica> = {
        start: () => void log.push(`start ${name}`),
        close: () => void log.push(`close ${name}`),
      }
      return own as LinkReplica
    },
    ended: (room) => void log.push(`ended ${room.shared.replica.name}`),
    changed: () => {},
  })
  const add = (room: RoomReplica): void => {
    rooms.add(room)
    matched.added(room)
  }
  return { log, matched, add }
}

describe("replicas of both sides", () => {
  test("come and go as often as there are slots, and 256 are announced at a time", () => {
    const { matched } = create(roomReplica("a"))
    for (let slot = 0; slot < 2_000; slot++) {
      matched.announced(announcement(slot, "a"))
      expect(matched.targets.size).toBe(1)
      matched.withdrawn(slot)
      expect(matched.at(slot)).toBeNull()
    }
    for (let slot = 0; slot < 256; slot++) matched.announced(announcement(slot, `n${slot}`))
    expect(() => matched.announced(announcement(256, "one more"))).toThrow(DecodeError)
    matched.announced(announcement(255, "in its place"))
  })

  test("meet whichever is there first", () => {
    const { log, matched, add } = create(roomReplica("a"))
    matched.announced(announcement(0, "a"))
    matched.announced(announcement(1, "b"))
    expect(matched.at(1)).toBeNull()
    add(roomReplica("b"))
    expect(log).toEqual(["start a@0", "start b@1"])
    expect([...matched.targets.keys()]).toEqual(["a", "b"])
    expect(matched.at(1)).toBe(matched.targets.get("b"))
  })

  test("part when one is withdrawn, and meet again when it is announced anew", () => {
    const { log, matched } = create(roomReplica("a"))
    matched.announced(announcement(0, "a"))
    matched.withdrawn(0)
    expect(matched.at(0)).toBeNull()
    expect(matched.targets.size).toBe(0)
    matched.announced(announcement(0, "a"))
    matched.withdrawn(0)
    matched.announced(announcement(5, "a"))
    expect(log).toEqual([
      "start a@0",
      "close a@0",
      "ended a",
      "start a@0",
      "close a@0",
      "ended a",
      "start a@5",
    ])
  })

  test("hold still while they are incompatible, in words, and start when they no longer are", () => {
    const room = roomReplica("a")
    const { log, matched } = create(room)
    matched.announced(announcement(0, "a", { schemaTag: "v2" }))
    expect(matched.mismatch(room.shared)).toBe("incompatible: the peer has schema v2, this app has v1")
    expect(matched.at(0)).toBeNull()
    matched.announced(announcement(0, "a"))
    expect(matched.mismatch(room.shared)).toBeNull()
    matched.announced(announcement(0, "a", { kind: 2 }))
    expect(matched.mismatch(room.shared)).toContain("another kind")
    expect(log).toEqual(["start a@0", "close a@0", "ended a"])
  })

  test("of another name in the same slot end what it meant", () => {
    const { log, matched } = create(roomReplica("a"), roomReplica("b"))
    matched.announced(announcement(0, "a"))
    matched.announced(announcement(0, "b"))
    expect(log).toEqual(["start a@0", "close a@0", "ended a", "start b@0"])
    matched.removed("b")
    expect([matched.targets.size, matched.at(0)]).toEqual([0, null])
  })

  test("are never two of one name, nor at a slot that nobody announced", () => {
    const { matched } = create(roomReplica("a"))
    matched.announced(announcement(0, "a"))
    expect(() => matched.announced(announcement(1, "a"))).toThrow("one replica in two slots")
    expect(() => matched.at(9)).toThrow("never announced")
    expect(() => matched.withdrawn(9)).not.toThrow()
  })
})
