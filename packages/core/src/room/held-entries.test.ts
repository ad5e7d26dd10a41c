import { expect, test } from "vitest"
import type { Frame } from "../protocol/frame.ts"
import { createFingerprintIndex } from "../protocol/fingerprint-index.ts"
import { mapKey } from "../protocol/map-key.ts"
import { createHeldEntries } from "./held-entries.ts"
import { createRefusals } from "./refusals.ts"
import { createUnconfirmed } from "./unconfirmed.ts"

const bytes = (fill: number): Uint8Array => new Uint8Array(16).fill(fill)

function setUp() {
  const index = createFingerprintIndex()
  for (const n of [1, 2, 3]) index.set(bytes(n), bytes(n + 100), `k${n}`)
  let count = 0
  const unconfirmed = createUnconfirmed(() => ++count)
  const refusals = createRefusals()
  const frames: Frame[] = []
  const outbox = { unacknowledgedBulk: 0, control: (frame: Frame) => void frames.push(frame) }
  const announced: Uint8Array[] = []
  const feed = { unconfirmed, announce: (position: Uint8Array) => void announced.push(position) }
  const held = createHeldEntries({ slot: 0, index, permissions: { send: true }, refusals, feed, outbox })
  const offered = (): number[] =>
    frames.flatMap((frame) =>
      frame.type === "offer" ? frame.items.map(({ position }) => position[0] ?? 0) : [],
    )
  return { index, held, unconfirmed, refusals, outbox, announced, offered }
}

test("what is owed is offered, and counts as under way", () => {
  const { held, unconfirmed, offered } = setUp()
  expect(held.offer([bytes(1)])).toBe(false)
  expect(offered()).toEqual([1])
  expect(unconfirmed.size).toBe(1)
})

test("what was only announced is offered, and stays unconfirmed until the peer answers", () => {
  const { held, unconfirmed, offered } = setUp()
  unconfirmed.changed(mapKey(bytes(2)))
  expect(held.offer([])).toBe(false)
  expect(offered()).toEqual([2])
  expect(unconfirmed.size).toBe(1)
})

test("what is on its way may be what was announced: nothing is offered beside it", () => {
  const { held, unconfirmed, outbox, offered } = setUp()
  unconfirmed.changed(mapKey(bytes(2)))
  outbox.unacknowledgedBulk = 1
  expect(held.offer([])).toBe(true)
  expect(offered()).toEqual([])
})

test("so much is offered at a time, and more where there is more", () => {
  const { index, held, unconfirmed, offered } = setUp()
  for (let n = 0; n < 2_100; n++) {
    const position = new Uint8Array(16)
    new DataView(position.buffer).setUint32(0, n)
    index.set(position, bytes(200), `many ${n}`)
    unconfirmed.changed(mapKey(position))
  }
  expect(held.offer([])).toBe(true)
  expect(offered()).toHaveLength(2_048)
})

test("what the peer refused as it is, and what is here no more, is neither announced nor offered", () => {
  const { held, unconfirmed, refusals, announced, offered } = setUp()
  refusals.byPeer.set(mapKey(bytes(3)), bytes(103))
  held.offer([bytes(3), bytes(9)])
  held.announce(bytes(3), 0)
  held.announce(bytes(1), 0)
  expect(unconfirmed.size).toBe(0)
  expect(announced).toEqual([bytes(1)])
  unconfirmed.changed(mapKey(bytes(3)))
  unconfirmed.changed(mapKey(bytes(9)))
  held.offer([])
  expect(offered()).toEqual([])
})
