import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { ChunkFrame, DataFrame, FragmentFrame, Frame, PushFrame } from "./frame.ts"
import { encodeFrame } from "./frame-codec.ts"
import { createInbox, type Inbox, type LargeEntryGate, type Receipt } from "./inbox.ts"
import { CREDIT_WINDOW_BYTES, MAX_UNACKNOWLEDGED, MIN_FRAGMENT_BYTES, REASSEMBLY_BYTES } from "./limits.ts"
import { sameBytes } from "./same-bytes.ts"

const digest = new Uint8Array(8)
const data = (length: number): DataFrame => ({
  type: "data",
  slot: 0,
  kind: 0,
  key: "k",
  digest,
  delta: new Uint8Array(length),
})
const push: PushFrame = {
  type: "push",
  slot: 0,
  kind: 0,
  key: "k",
  before: digest,
  after: digest,
  delta: digest,
}
const chunk: ChunkFrame = {
  type: "chunk",
  slot: 0,
  position: new Uint8Array(16),
  blob: new Uint8Array(32),
  index: 0,
  bytes: digest,
}

/** A frame in pieces of `pieceBytes`. */
function fragmentsOf(frame: Frame, pieceBytes = 60_000): readonly FragmentFrame[] {
  const bytes = encodeFrame(frame)
  return Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, at) => ({
    type: "fragment",
    size: bytes.length,
    bytes: bytes.slice(at * pieceBytes, (at + 1) * pieceBytes),
  }))
}

function createGate(): LargeEntryGate & { taken: number; free: boolean } {
  const gate = {
    taken: 0,
    free: true,
    isWanted: () => false,
    acquire() {
      if (!gate.free) return false
      gate.free = false
      gate.taken++
      return true
    },
    release() {
      gate.free = true
    },
  }
  return gate
}

/** A sender that honours credit: hands over frames while it has some left. */
function feed(
  inbox: Inbox,
  frames: readonly FragmentFrame[],
  credit: { left: number },
): { sent: number; receipts: Receipt[] } {
  const receipts: Receipt[] = []
  let sent = 0
  for (const fragment of frames) {
    const size = encodeFrame(fragment).length
    if (size > credit.left) break
    credit.left -= size
    const payload = inbox.receive(fragment, size)
    if (payload !== null) receipts.push(payload.receipt)
    sent++
    for (const answer of inbox.answers())
      if (answer.type === "credit") credit.left += creditGrown(inbox, answer.total)
  }
  return { sent, receipts }
}
const announcedBy = new WeakMap<Inbox, number>()
function creditGrown(inbox: Inbox, total: number): number {
  const grown = total - (announcedBy.get(inbox) ?? CREDIT_WINDOW_BYTES)
  announcedBy.set(inbox, total)
  return grown
}

describe("credit", () => {
  test("comes back once a frame is settled, in steps, and never before", () => {
    const inbox = createInbox(createGate())
    const receipts: Receipt[] = []
    for (let n = 0; n < 18; n++) {
      const payload = inbox.receive(data(60_000), 60_000)
      if (payload !== null) receipts.push(payload.receipt)
    }
    expect(inbox.answers()).toEqual([])
    for (const receipt of receipts.slice(0, 17)) inbox.settle(receipt)
    expect(inbox.answers().map(({ type }) => type)).toEqual(["ack"])
    inbox.settle(receipts[17] as Receipt)
    expect(inbox.answers()).toContainEqual({ type: "credit", total: CREDIT_WINDOW_BYTES + 1_080_000 })
    expect(inbox.answers()).toEqual([])
  })

  test("is counted to the byte: the last one is allowed, one more is a violation", () => {
    const inbox = createInbox(createGate())
    inbox.receive(data(1), CREDIT_WINDOW_BYTES - 1)
    inbox.receive(push, 1)
    expect(() => inbox.receive(push, 1)).toThrow("more bytes than the credit")
  })

  test("is returned exactly once for each frame, in whatever order they are settled, and however often", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            kind: fc.constantFrom("data", "push", "chunk"),
            size: fc.integer({ min: 1, max: 50_000 }),
          }),
          { maxLength: 30 },
        ),
        fc.infiniteStream(fc.nat()),
        (frames, order) => {
          const inbox = createInbox(createGate())
          const open: Receipt[] = []
          let sum = 0
          for (const { kind, size } of frames) {
            const frame = kind === "data" ? data(1) : kind === "push" ? push : chunk
            const payload = inbox.receive(frame, size)
            if (payload !== null) open.push(payload.receipt)
            sum += size
          }
          const acks = { control: 0, bulk: 0 }
          while (open.length > 0) {
            const [receipt] = open.splice((order.next().value as number) % open.length, 1)
            inbox.settle(receipt as Receipt)
            inbox.settle(receipt as Receipt)
            for (const frame of inbox.answers()) {
              if (frame.type !== "ack") continue
              expect(frame.control).toBeGreaterThanOrEqual(acks.control)
              expect(frame.bulk).toBeGreaterThanOrEqual(acks.bulk)
              Object.assign(acks, { control: frame.control, bulk: frame.bulk })
            }
          }
          expect(acks.control).toBe(frames.filter(({ kind }) => kind === "push").length)
          expect(acks.bulk).toBe(frames.filter(({ kind }) => kind === "data").length)
          // Once all credit has been returned, all of it can be used again.
          const step = CREDIT_WINDOW_BYTES / 2
          const rest = Math.max(0, CREDIT_WINDOW_BYTES - (sum % step))
          expect(() => inbox.receive(chunk, Math.min(rest, CREDIT_WINDOW_BYTES - step))).not.toThrow()
        },
      ),
    )
  })
})

describe("an acknowledgement", () => {
  test("waits for the oldest: what is behind it is not counted before it", () => {
    const inbox = createInbox(createGate())
    const [first, second] = [inbox.receive(data(1), 1), inbox.receive(data(1), 1)]
    inbox.settle(second?.receipt as Receipt)
    expect(inbox.answers()).toEqual([])
    inbox.settle(first?.receipt as Receipt)
    expect(inbox.answers()).toEqual([{ type: "ack", control: 0, bulk: 2 }])
  })

  test("cannot be kept waiting for without end: what is settled behind the oldest is counted, and bounded", () => {
    const inbox = createInbox(createGate())
    const size = 30
    inbox.receive(data(1), size)
    const flood = (): void => {
      for (let n = 0; n < MAX_UNACKNOWLEDGED * 2; n++) {
        const payload = inbox.receive(data(1), size)
        if (payload !== null) inbox.settle(payload.receipt)
        inbox.answers()
      }
    }
    expect(flood).toThrow("too many unacknowledged entries")
  })
})

describe("fragments", () => {
  test("join to the frame that was cut", () => {
    const inbox = createInbox(createGate())
    const results = fragmentsOf(data(200_000)).map((fragment) =>
      inbox.receive(fragment, fragment.bytes.length),
    )
    expect(results.slice(0, -1).every((result) => result === null)).toBe(true)
    expect(sameBytes(encodeFrame(results.at(-1)?.frame as Frame), encodeFrame(data(200_000)))).toBe(true)
  })

  test("mixed, too long or too short are violations", () => {
    const [first, second, third] = fragmentsOf(data(150_000)) as [FragmentFrame, FragmentFrame, FragmentFrame]
    const tiny = { ...first, bytes: new Uint8Array(MIN_FRAGMENT_BYTES - 1) }
    const hostile: readonly (readonly FragmentFrame[])[] = [
      [tiny],
      [first, second, tiny],
      [first, { ...second, size: second.size + 1 }],
      [first, second, { ...third, bytes: new Uint8Array(60_000) }],
    ]
    for (const fragments of hostile) {
      const inbox = createInbox(createGate())
      expect(() => fragments.forEach((fragment) => inbox.receive(fragment, 100))).toThrow(
        "protocol-violation",
      )
    }
  })

  test("carry payload only, and no fragments", () => {
    const links: Frame = { type: "links", sessions: Array.from({ length: 200 }, () => new Uint8Array(16)) }
    const nested = fragmentsOf(data(5_000), 2_000)[0] as FragmentFrame
    for (const frame of [links, nested]) {
      const inbox = createInbox(createGate())
      expect(() => fragmentsOf(frame, 1_000).forEach((piece) => inbox.receive(piece, 100))).toThrow(
        "in fragments",
      )
    }
  })
})

describe("an entry larger than the buffer", () => {
  const large = fragmentsOf(data(REASSEMBLY_BYTES + 3_000_000))

  test("gets no credit while another has the room's place, and goes on when it is free", () => {
    const gate = createGate()
    gate.free = false
    const inbox = createInbox(gate)
    const credit = { left: CREDIT_WINDOW_BYTES }
    const stuck = feed(inbox, large, credit)
    expect(stuck.sent).toBeLessThan(large.length)
    expect(inbox.answers()).toEqual([])
    gate.free = true
    inbox.retryLarge()
    expect(gate.taken).toBe(1)
    for (const answer of inbox.answers())
      if (answer.type === "credit") credit.left += creditGrown(inbox, answer.total)
    const rest = feed(inbox, large.slice(stuck.sent), credit)
    expect(rest.receipts).toHaveLength(1)
    inbox.settle(rest.receipts[0] as Receipt)
    expect(gate.free).toBe(true)
  })

  test("leaves the place when its link ends, once, and takes it no more", () => {
    const gate = createGate()
    const inbox = createInbox(gate)
    const { receipts } = feed(inbox, large, { left: Number.POSITIVE_INFINITY })
    expect(gate.free).toBe(false)
    inbox.close()
    expect(gate.free).toBe(true)
    inbox.settle(receipts[0] as Receipt)
    inbox.retryLarge()
    expect([gate.taken, gate.free]).toEqual([1, true])
  })

  test("does not let its sender fill the memory while the disk is slow", () => {
    const inbox = createInbox(createGate())
    const credit = { left: CREDIT_WINDOW_BYTES }
    const frames = Array.from({ length: 8 }, () => fragmentsOf(data(16_000_000))).flat()
    const { sent } = feed(inbox, frames, credit)
    expect(sent * 60_000).toBeLessThan(33_554_432 + REASSEMBLY_BYTES + 2 * CREDIT_WINDOW_BYTES)
  })
})
