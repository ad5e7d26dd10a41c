import { expect, test } from "vitest"
import { announceNotes } from "../../test/simulated-engines.ts"
import type { Frame, RangeFrame } from "../protocol/frame.ts"
import { createFingerprintIndex, type FingerprintIndex } from "../protocol/fingerprint-index.ts"
import { createOutbox } from "../protocol/outbox.ts"
import { answerRange } from "../protocol/reconciliation.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createLinkReplica } from "./link-replica.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import { createReconcileLease } from "./reconcile-lease.ts"
import { createRootHistory } from "./root-history.ts"
import type { SharedReplica } from "./shared-replica.ts"

/** One side, with every frame that it sends; nothing is read from a replica. */
function sideOf(
  index: FingerprintIndex,
  theirs: FingerprintIndex,
  initiator = true,
): { link: LinkReplica; frames: Frame[] } {
  const frames: Frame[] = []
  const outbox = createOutbox({ send: () => {}, buffered: () => 0, maxMessageBytes: 65_536 })
  const shared = {
    slot: 0,
    index,
    history: createRootHistory(),
    replica: { name: "notes", kind: 0, schemaTag: "1", direction: "both" },
  } as unknown as SharedReplica
  const link = createLinkReplica({
    session: "b",
    device: "device of b",
    shared,
    announced: { ...announceNotes, count: theirs.count, root: theirs.root() },
    initiator,
    permissions: { send: true, receive: true },
    outbox: {
      ...outbox,
      unacknowledged: 0,
      unacknowledgedBulk: 0,
      control: (frame) => void frames.push(frame),
    },
    keptSummaries: { bytes: 0 },
    lease: createReconcileLease(),
    clock: createSimulatedTime().clock(),
    random: createSeededRandom("link"),
    sharesLinks: false,
    nextChange: () => 1,
    pendingIn: () => 0,
    answeredAt: () => Number.NEGATIVE_INFINITY,
    want: () => true,
    pump: () => {},
    changed: () => {},
    phaseChanged: () => {},
    reconciled: () => {},
  })
  return { link, frames }
}

test("a run that found more than can be queued has not compared everything: the peer lacks what was left out", () => {
  const index = createFingerprintIndex()
  const theirs = createFingerprintIndex()
  const random = createSeededRandom("positions")
  for (let n = 0; n < 300_000; n++) {
    const position = random.bytes(16)
    index.set(position, position, String(n))
    // Every other entry, so that what is missing is scattered and not in whole subtrees.
    if (n % 2 === 0) theirs.set(position, position, String(n))
  }
  const { link, frames } = sideOf(index, theirs)
  link.start()
  for (let at = 0; at < frames.length; at++) {
    const request = frames[at] as RangeFrame
    if (request.type !== "range") continue
    const nothing = (): void => {}
    const findings = { lacksNode: nothing, lacksEntry: nothing, differs: nothing }
    const { replies, ack } = answerRange(theirs, 0, request, findings, true)
    for (const reply of replies) link.range(reply)
    link.rangeAck(ack)
  }
  let sent = 0
  for (let taken = link.queue.take(512); taken.length > 0; taken = link.queue.take(512)) {
    for (const { position } of taken) theirs.set(position, position, "sent")
    sent += taken.length
  }
  expect(sent).toBeLessThan(150_000)
  link.check()
  const root = {
    slot: 0,
    count: theirs.count,
    root: theirs.root(),
    settled: true,
    answer: false,
    agreed: false,
  }
  link.root(root)
  expect([link.phase, link.compared]).toEqual(["live", false])
  link.close()
})

test("a run that had more to ask about than can be kept has not shown that the rest may not travel", () => {
  const index = createFingerprintIndex()
  const theirs = createFingerprintIndex()
  const random = createSeededRandom("open")
  for (let n = 0; n < 500; n++) index.set(random.bytes(16), random.bytes(16), String(n))
  theirs.set(random.bytes(16), random.bytes(16), "theirs")
  const { link, frames } = sideOf(index, theirs)
  link.start()
  // "I list none of your entries", eight thousand times a frame: each is answered by a split of 71 bytes.
  const records = new Uint8Array(16_000).map((_, at) => (at % 2 === 0 ? 0x30 : 0))
  for (let at = 0; at < frames.length; at++) {
    const request = frames[at] as RangeFrame
    if (request.type !== "range") continue
    const { slot, salt, sequence } = request
    if (sequence === 1)
      for (let times = 0; times < 12; times++) link.range({ ...request, reply: true, grant: 0, records })
    link.rangeAck({ type: "range-ack", slot, salt, sequence, answered: 10_000, later: false })
  }
  const root = { slot: 0, count: 1, root: theirs.root(), settled: true, answer: false, agreed: false }
  link.root(root)
  expect(frames.filter(({ type }) => type === "root")).toMatchObject([{ roots: [{ agreed: false }] }])
  expect(link.compared).toBe(false)
  link.close()
})

test("a responder that owes more than it can note down has not compared everything when it is told to be done", () => {
  const index = createFingerprintIndex()
  const theirs = createFingerprintIndex()
  const random = createSeededRandom("owed")
  const { link, frames } = sideOf(index, theirs, false)
  link.start()
  const owe = (count: number): void => {
    for (let n = 0; n < count; n++) {
      const position = random.bytes(16)
      index.set(position, position, "from others")
      link.owes(position)
    }
  }
  const done = { slot: 0, root: theirs.root(), count: 0, settled: true, answer: false, agreed: true }
  owe(9_000)
  link.root(done)
  expect([link.phase, link.compared]).toEqual(["live", false])
  expect(frames.at(-1)).toMatchObject({ type: "root", roots: [{ answer: true }] })
  link.root({ ...done, root: index.root(), count: index.count })
  expect(link.compared).toBe(true)
  link.close()
})
