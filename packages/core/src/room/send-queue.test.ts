import { describe, expect, test } from "vitest"
import { createFingerprintIndex, type FingerprintIndex } from "../protocol/fingerprint-index.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSendQueue, type SendQueue } from "./send-queue.ts"

const random = createSeededRandom("queue")

function indexOf(count: number): FingerprintIndex {
  const index = createFingerprintIndex()
  for (let n = 0; n < count; n++) index.set(random.bytes(16), random.bytes(16), `k${n}`)
  return index
}

function takeAll(queue: SendQueue, limit: number): string[] {
  const positions: string[] = []
  for (let taken = queue.take(limit); taken.length > 0; taken = queue.take(limit)) {
    expect(taken.length).toBeLessThanOrEqual(limit)
    positions.push(...taken.map(({ position }) => bytesToHex(position)))
  }
  return positions
}

describe("a send queue", () => {
  test("gives every entry of a node once, however large it is", () => {
    const index = indexOf(20_000)
    const queue = createSendQueue(index)
    queue.addNode(0, 0)
    expect(queue.size).toBe(20_000)
    const positions = takeAll(queue, 300)
    expect(positions.length).toBe(20_000)
    expect(new Set(positions).size).toBe(20_000)
    expect(queue.size).toBe(0)
  })

  test("tells what nobody asked for, until somebody does", () => {
    const queue = createSendQueue(indexOf(0))
    const [newer, asked, missing] = [random.bytes(16), random.bytes(16), random.bytes(16)]
    for (const position of [newer, asked, missing]) queue.addUnasked(position)
    queue.addEntry(asked, Uint8Array.of(7))
    queue.addEntry(missing, null)
    queue.addUnasked(missing)
    expect(queue.take(9)).toEqual([
      { position: newer, summary: new Uint8Array(0), unasked: true },
      { position: asked, summary: Uint8Array.of(7), unasked: false },
      { position: missing, summary: new Uint8Array(0), unasked: false },
    ])
  })

  test("gives what was asked for first, and once, with what is known of the peer", () => {
    const index = indexOf(3)
    const queue = createSendQueue(index)
    const position = random.bytes(16)
    queue.addEntry(position, null)
    queue.addEntry(position, Uint8Array.of(7))
    queue.addEntry(position, null)
    queue.addNode(0, 0)
    expect(queue.take(1)).toEqual([{ position, summary: Uint8Array.of(7), unasked: false }])
    expect(takeAll(queue, 10)).toHaveLength(3)
  })

  test("is empty of nodes that hold nothing", () => {
    const queue = createSendQueue(createFingerprintIndex())
    queue.addNode(0, 0)
    expect(queue.size).toBe(0)
  })

  test("never counts less than nothing, though the index changes under it", () => {
    const index = indexOf(5_000)
    const queue = createSendQueue(index)
    for (let child = 0; child < 16; child++) queue.addNode(1, child)
    const positions: Uint8Array[] = []
    index.forEachIn(0, 0, (position) => void positions.push(position.slice()))
    for (const position of positions.slice(0, 4_000)) index.delete(position)
    expect(takeAll(queue, 100)).toHaveLength(1_000)
    expect(queue.size).toBe(0)
  })

  test("takes a bounded number of entries and of nodes", () => {
    const index = indexOf(100)
    const queue = createSendQueue(index)
    for (let n = 0; n < 65_536; n++) queue.addEntry(random.bytes(16), null)
    expect(queue.addEntry(random.bytes(16), null)).toBe(false)
    for (let n = 0; n < 100_000; n++) queue.addNode(0, 0)
    expect(queue.size).toBeLessThanOrEqual(65_536 + 65_536 * 100)
    queue.clear()
    expect([queue.size, queue.take(1).length]).toEqual([0, 0])
  })

  test("gives everything twice at most, however often a peer says that it has nothing", () => {
    const queue = createSendQueue(indexOf(2_000))
    const taken = Array.from({ length: 1_000 }, () => queue.addNode(0, 0))
    expect(taken.filter(Boolean)).toHaveLength(2)
    expect(queue.size).toBe(4_000)
    expect(takeAll(queue, 300).length).toBeLessThanOrEqual(4_000)
    expect(queue.addNode(0, 0)).toBe(true)
    expect(takeAll(queue, 300)).toHaveLength(2_000)
  })

  test("keeps no more than a few megabytes of what peers say that they hold", () => {
    const queue = createSendQueue(indexOf(0))
    const summary = new Uint8Array(262_144)
    const keptBytes = (): number => queue.take(1_000).reduce((sum, one) => sum + one.summary.length, 0)
    const ask = (): void => {
      for (let n = 0; n < 100; n++) expect(queue.addEntry(random.bytes(16), summary)).toBe(true)
    }
    ask()
    expect(keptBytes()).toBe(30 * 262_144)
    // What was taken makes room for others.
    ask()
    expect(keptBytes()).toBe(30 * 262_144)
  })

  test("keeps no more of them from a peer that fills the queue with ever shorter ones, and never reads", () => {
    const queue = createSendQueue(indexOf(0))
    const positions = Array.from({ length: 65_536 }, () => random.bytes(16))
    // Each as long as an average of all that is queued may be.
    for (const [n, position] of positions.entries())
      queue.addEntry(position, new Uint8Array(Math.min(16_000, Math.floor(8_000_000 / (n + 1)))))
    const kept = queue.take(65_536).reduce((sum, { summary }) => sum + summary.length, 0)
    expect(kept).toBeGreaterThan(7_900_000)
    expect(kept).toBeLessThanOrEqual(8_000_000)
  })

  test("shares that room with the other queues of a link", () => {
    const kept = { bytes: 0 }
    const [one, other] = [createSendQueue(indexOf(0), kept), createSendQueue(indexOf(0), kept)]
    const position = random.bytes(16)
    one.addEntry(position, new Uint8Array(5_000_000))
    other.addEntry(position, new Uint8Array(5_000_000))
    expect(other.take(1)[0]?.summary.length).toBe(0)
    one.clear()
    other.addEntry(position, new Uint8Array(5_000_000))
    expect(other.take(1)[0]?.summary.length).toBe(5_000_000)
    expect(kept.bytes).toBe(0)
  })

  test("forgets a summary for a newer one, and all of them when it is cleared", () => {
    const queue = createSendQueue(indexOf(0))
    const [one, other] = [random.bytes(16), random.bytes(16)]
    const longest = new Uint8Array(8_000_000)
    for (let times = 0; times < 3; times++) {
      queue.addEntry(one, longest)
      queue.addEntry(one, longest.subarray(1))
      expect(queue.take(1)[0]?.summary.length).toBe(longest.length - 1)
      queue.addEntry(other, longest)
      queue.clear()
    }
    queue.addEntry(one, longest)
    expect(queue.take(1)[0]?.summary.length).toBe(longest.length)
  })
})
