import { expect, test } from "vitest"
import type { ReadOutcome } from "../ports/replica.ts"
import { createFingerprintIndex } from "../protocol/fingerprint-index.ts"
import { DIGEST_BYTES, POSITION_BYTES } from "../protocol/limits.ts"
import { mapKey } from "../protocol/map-key.ts"
import { decodeMessage } from "../protocol/message.ts"
import { createOutbox } from "../protocol/outbox.ts"
import { packEntries } from "../testing/pack-entries.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createEntrySender } from "./entry-sender.ts"
import { createRefusals } from "./refusals.ts"
import type { LinkTarget } from "./room-replica.ts"
import { createSendQueue } from "./send-queue.ts"

/** So many that their positions take more than an outbox holds for a peer that does not read. */
const REFUSED = 270_000
/** Short entries that go through: after them, the queue is taken in batches as large as they ever get. */
const TAKEN = 500
/** The high mark of a data channel, and a few messages. */
const HIGH_BYTES = 262_144 + 4 * 16_384

/** A sender over a real outbox whose peer has refused nearly everything, and a transport that says how much waits in it. */
function createRefusedSender() {
  const random = createSeededRandom("refused")
  const index = createFingerprintIndex()
  const refusals = createRefusals()
  const digest = new Uint8Array(DIGEST_BYTES).fill(1)
  const positions = random.bytes((TAKEN + REFUSED) * POSITION_BYTES)
  const entries = Array.from({ length: TAKEN + REFUSED }, (_, at) => ({
    position: positions.subarray(at * POSITION_BYTES, (at + 1) * POSITION_BYTES),
    digest,
    key: "",
  }))
  index.build(packEntries(entries))
  for (const { position } of entries.slice(TAKEN)) refusals.byPeer.set(mapKey(position), digest)
  const queue = createSendQueue(index)
  const path = { buffered: 0, most: 0, isEndless: false, isEnded: false, withheld: new Set<string>() }
  const outbox = createOutbox({
    send(_, message) {
      if (!path.isEndless) path.buffered += message.length
      path.most = Math.max(path.most, path.buffered)
      for (const { frame } of decodeMessage(message))
        if (frame.type === "withheld")
          for (const position of frame.positions) path.withheld.add(mapKey(position))
    },
    buffered: () => path.buffered,
    maxMessageBytes: 65_536,
  })
  // As a link session does it.
  const flush = (): void => {
    outbox.flush()
    if (outbox.overflowing) path.isEnded = true
  }
  const outcome: ReadOutcome = { type: "delta", stateHash: digest, delta: new Uint8Array(1) }
  const shared = {
    ...{ index, slot: 3, replica: { kind: 200 }, digests: { digest: () => digest } },
    attached: { read: async (requests: readonly unknown[]) => requests.map(() => outcome) },
  }
  const own = {
    ...{ queue, refusals, shared, permissions: { send: true }, feed: { unconfirmed: { changed: () => 0 } } },
    ...{ reading: 0, resting: false, check: () => {} },
  }
  const sender = createEntrySender({
    peer: {} as never,
    outbox,
    targets: () => [{ own } as unknown as LinkTarget],
    refused: () => {},
    flush,
  })
  const pump = (): void => {
    sender.pump()
    flush()
  }
  return {
    path,
    queue,
    pump,
    async sendTaken() {
      for (const { position } of entries.slice(0, TAKEN)) queue.addEntry(position, null)
      pump()
      await expect.poll(() => queue.size + own.reading).toBe(0)
      path.buffered = 0
      // Everything that follows is refused, and queued as a run finds it: in whole subtrees.
      for (const { position } of entries.slice(0, TAKEN)) index.delete(position)
      queue.addNode(0, 0)
    },
  }
}

test("refused entries that a run finds again leave as the lane drains, and do not pass for a peer that does not read", async () => {
  const { path, queue, pump, sendTaken } = createRefusedSender()
  await sendTaken()
  // Something else is still on its way, and each message that arrives makes the link look for what it may send.
  path.buffered = HIGH_BYTES
  for (let pumps = 0; pumps < 700; pumps++) pump()
  expect(path.isEnded).toBe(false)
  for (let drains = 0; drains < 200 && queue.size > 0; drains++) {
    path.buffered = 0
    pump()
  }
  path.buffered = 0
  pump()
  expect(path.withheld.size).toBe(REFUSED)
  expect(path.most).toBeLessThan(HIGH_BYTES * 2)
  expect(path.isEnded).toBe(false)
})

test("over a transport that takes them at once nothing has to happen for the rest of them to leave", async () => {
  const { path, queue, pump, sendTaken } = createRefusedSender()
  await sendTaken()
  path.isEndless = true
  pump()
  expect(queue.size).toBe(0)
  expect(path.withheld.size).toBe(REFUSED)
})
