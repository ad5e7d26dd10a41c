import { expect, test } from "vitest"
import { mapKey } from "../protocol/bytes-equal.ts"
import { createFingerprintIndex } from "../protocol/fingerprint-index.ts"
import { createHeldEntries } from "./held-entries.ts"
import { createRefusals } from "./refusals.ts"
import { createSendQueue } from "./send-queue.ts"
import { createUnconfirmed } from "./unconfirmed.ts"

const bytes = (fill: number): Uint8Array => new Uint8Array(16).fill(fill)

function setUp() {
  const index = createFingerprintIndex()
  for (const n of [1, 2, 3]) index.set(bytes(n), bytes(n + 100), `k${n}`)
  let count = 0
  const unconfirmed = createUnconfirmed(() => ++count)
  const queue = createSendQueue(index)
  const refusals = createRefusals()
  const outbox = { unacknowledged: 0 }
  const announced: Uint8Array[] = []
  const feed = { unconfirmed, announce: (position: Uint8Array) => void announced.push(position) }
  const held = createHeldEntries({ index, refusals, feed, queue, outbox })
  const taken = (): number[] => queue.take(10).map(({ position }) => position[0] ?? 0)
  return { held, unconfirmed, refusals, outbox, announced, taken }
}

test("what is owed, and what was only announced, is sent and counts as under way", () => {
  const { held, unconfirmed, taken } = setUp()
  unconfirmed.changed(mapKey(bytes(2)), bytes(102))
  held.sendAll([bytes(1)])
  expect(taken()).toEqual([1, 2])
  expect(unconfirmed.size).toBe(2)
})

test("what is on its way already is not sent twice", () => {
  const { held, unconfirmed, outbox, taken } = setUp()
  unconfirmed.changed(mapKey(bytes(2)), bytes(102))
  outbox.unacknowledged = 1
  held.sendAll([bytes(1)])
  expect(taken()).toEqual([1])
})

test("what the peer refused as it is, and what is here no more, is neither sent nor announced", () => {
  const { held, unconfirmed, refusals, announced, taken } = setUp()
  refusals.byPeer.set(mapKey(bytes(3)), bytes(103))
  held.sendAll([bytes(3), bytes(9)])
  held.announce(bytes(3))
  held.announce(bytes(1))
  expect(taken()).toEqual([])
  expect(unconfirmed.size).toBe(0)
  expect(announced).toEqual([bytes(1)])
})
