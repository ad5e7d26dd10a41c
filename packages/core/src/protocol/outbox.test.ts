import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { ChunkFrame, DataFrame, FragmentFrame, Frame, PushFrame } from "./frame.ts"
import { decodeFrame, encodeFrame } from "./frame-codec.ts"
import {
  BULK_MESSAGE_BYTES,
  CONTROL_MESSAGE_BYTES,
  CREDIT_WINDOW_BYTES,
  MAX_RANGE_BYTES,
  MAX_UNACKNOWLEDGED,
} from "./limits.ts"
import { decodeMessage, framedBytes, type SizedFrame } from "./message.ts"
import { createOutbox, type EntryReference, type Outbox } from "./outbox.ts"
import { sameBytes } from "./same-bytes.ts"

type Lane = "control" | "bulk"

interface Recorder {
  readonly outbox: Outbox
  readonly messages: { readonly lane: Lane; readonly bytes: Uint8Array }[]
  readonly buffered: Record<Lane, number>
  frames(lane: Lane): readonly SizedFrame[]
}

function createRecorder(maxMessageBytes = 262_144): Recorder {
  const messages: { readonly lane: Lane; readonly bytes: Uint8Array }[] = []
  const buffered = { control: 0, bulk: 0 }
  const outbox = createOutbox({
    maxMessageBytes,
    send: (lane, bytes) => void messages.push({ lane, bytes: bytes.slice() }),
    buffered: (lane) => buffered[lane],
  })
  return {
    outbox,
    messages,
    buffered,
    frames: (lane) =>
      messages.filter((message) => message.lane === lane).flatMap(({ bytes }) => decodeMessage(bytes)),
  }
}

const digest = new Uint8Array(8)
const reference = (changes: number): EntryReference => ({
  slot: 0,
  position: new Uint8Array(16),
  digest,
  changes,
})
const data = (length: number): DataFrame => ({
  type: "data",
  slot: 0,
  kind: 0,
  key: "k",
  digest,
  delta: new Uint8Array(length).fill(5),
})
const push = (length: number): PushFrame => ({
  type: "push",
  slot: 0,
  kind: 0,
  key: "k",
  before: digest,
  after: digest,
  delta: new Uint8Array(length),
})
const chunk = (length: number): ChunkFrame => ({
  type: "chunk",
  slot: 0,
  position: new Uint8Array(16),
  blob: new Uint8Array(32),
  index: 0,
  bytes: new Uint8Array(length),
})

function isPayload({ frame }: SizedFrame): boolean {
  return ["data", "push", "chunk", "fragment"].includes(frame.type)
}

function bytesOf(pieces: readonly FragmentFrame[]): number {
  return pieces.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

/** What a receiver puts together from fragments. */
function joined(frames: readonly SizedFrame[]): readonly Frame[] {
  const whole: Frame[] = []
  let pieces: FragmentFrame[] = []
  for (const { frame } of frames) {
    if (frame.type !== "fragment") {
      whole.push(frame)
      continue
    }
    pieces.push(frame)
    if (bytesOf(pieces) < frame.size) continue
    const bytes = new Uint8Array(frame.size)
    pieces.forEach((piece, at) => bytes.set(piece.bytes, bytesOf(pieces.slice(0, at))))
    whole.push(decodeFrame(bytes))
    pieces = []
  }
  expect(pieces).toEqual([])
  return whole
}

describe("control frames", () => {
  test("go out together at flush, in order, in messages that nothing waits behind for long", () => {
    const { outbox, messages, frames } = createRecorder()
    for (let nonce = 0; nonce < 5_000; nonce++) outbox.control({ type: "ping", nonce })
    expect(messages).toEqual([])
    outbox.flush()
    expect(messages.every(({ bytes }) => bytes.length <= CONTROL_MESSAGE_BYTES)).toBe(true)
    expect(messages.length).toBeLessThan(4)
    expect(frames("control").map(({ frame }) => frame)).toEqual(
      Array.from({ length: 5_000 }, (_, nonce) => ({ type: "ping", nonce })),
    )
  })

  test("fit a control message at their longest", () => {
    const position = new Uint8Array(16)
    const longest: Frame[] = [
      {
        type: "range",
        slot: 255,
        salt: 1,
        sequence: 0xffff_ffff,
        reply: true,
        grant: 65_536,
        records: new Uint8Array(MAX_RANGE_BYTES),
      },
      { type: "links", sessions: Array.from({ length: 256 }, () => position) },
      { type: "have", slot: 255, items: Array.from({ length: 512 }, () => ({ position, digest })) },
      { type: "presence", value: new Uint8Array(2_048) },
    ]
    for (const frame of longest) {
      expect(framedBytes(encodeFrame(frame).length)).toBeLessThanOrEqual(CONTROL_MESSAGE_BYTES)
    }
  })

  test("wait while the lane is full, and leave when it has drained", () => {
    const { outbox, messages, buffered } = createRecorder()
    buffered.control = 300_000
    outbox.control({ type: "ping", nonce: 1 })
    outbox.flush()
    expect(messages).toEqual([])
    expect(outbox.wantsControl).toBe(false)
    buffered.control = 0
    outbox.flush()
    expect(messages).toHaveLength(1)
    expect(outbox.wantsControl).toBe(true)
  })

  test("for a peer that never reads are noticed before they fill the memory", () => {
    const { outbox, buffered } = createRecorder()
    buffered.control = 300_000
    for (let n = 0; n < 256; n++) {
      outbox.control({
        type: "range",
        slot: 0,
        salt: 0,
        sequence: n,
        reply: true,
        grant: 0,
        records: new Uint8Array(16_000),
      })
    }
    expect(outbox.overflowing).toBe(false)
    for (let n = 0; n < 10; n++) {
      outbox.control({
        type: "range",
        slot: 0,
        salt: 0,
        sequence: n,
        reply: true,
        grant: 0,
        records: new Uint8Array(16_000),
      })
    }
    expect(outbox.overflowing).toBe(true)
  })
})

describe("payload", () => {
  test("never takes more credit than was given, down to the last byte of it", () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant("data" as const), length: fc.nat(90_000) }),
      fc.record({ type: fc.constant("push" as const), length: fc.nat(9_000) }),
      fc.record({ type: fc.constant("chunk" as const), length: fc.nat(65_536) }),
      fc.record({ type: fc.constant("credit" as const), length: fc.nat(300_000) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { outbox, messages } = createRecorder()
        let total = CREDIT_WINDOW_BYTES
        let [used, counted] = [0, 0]
        for (const { type, length } of steps) {
          if (type === "credit") outbox.credited((total += length))
          else if (type === "data") outbox.bulk(data(length), reference(0))
          else if (type === "chunk") outbox.bulk(chunk(length), null)
          else outbox.push(push(length), reference(0))
          outbox.flush()
          for (; counted < messages.length; counted++) {
            const sizes = decodeMessage(messages[counted]?.bytes as Uint8Array).filter(isPayload)
            used += sizes.reduce((sum, { size }) => sum + size, 0)
          }
          expect(used).toBeLessThanOrEqual(total)
        }
      }),
      { numRuns: 20 },
    )
  })

  test("goes on when credit comes, and a smaller total takes none away", () => {
    const { outbox, frames } = createRecorder()
    for (let n = 0; n < 40; n++) outbox.bulk(data(60_000), reference(n))
    outbox.flush()
    const before = frames("bulk").length
    expect(before).toBeLessThan(40)
    outbox.credited(1)
    outbox.flush()
    expect(frames("bulk").length).toBe(before)
    outbox.credited(CREDIT_WINDOW_BYTES * 2)
    outbox.flush()
    expect(frames("bulk").length).toBe(40)
  })

  test("stops while the transport's buffer is full", () => {
    const { outbox, messages, buffered } = createRecorder()
    buffered.bulk = 2_000_000
    outbox.bulk(data(10), reference(1))
    outbox.flush()
    expect(messages).toEqual([])
  })

  test("is asked for only while little is ready", () => {
    const { outbox, buffered } = createRecorder()
    buffered.bulk = 2_000_000
    while (outbox.wantsBulk) outbox.bulk(data(60_000), reference(1))
    expect(outbox.unacknowledged).toBeLessThanOrEqual(9)
  })

  test("is cut to what the peer takes, down to a thousand bytes, and joins to the same frame", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_024, max: 70_000 }), fc.nat(150_000), (cap, length) => {
        const { outbox, messages, frames } = createRecorder()
        outbox.capMessages(cap)
        outbox.bulk(data(length), reference(1))
        outbox.flush()
        for (const { bytes } of messages)
          expect(bytes.length).toBeLessThanOrEqual(Math.min(cap, BULK_MESSAGE_BYTES))
        const [whole] = joined(frames("bulk"))
        expect(sameBytes(encodeFrame(whole as Frame), encodeFrame(data(length)))).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  test("is never longer than the transport takes, whatever the peer would", () => {
    const { outbox, messages } = createRecorder(16_384)
    outbox.capMessages(262_144)
    outbox.bulk(data(100_000), reference(1))
    outbox.flush()
    expect(messages.every(({ bytes }) => bytes.length <= 16_384)).toBe(true)
  })

  test("shares messages where it is small", () => {
    const { outbox, messages, frames } = createRecorder()
    for (let n = 0; n < 1_000; n++) outbox.bulk(data(50), reference(n))
    outbox.flush()
    expect(frames("bulk")).toHaveLength(1_000)
    expect(messages.length).toBeLessThanOrEqual(2)
  })
})

describe("a push", () => {
  test("that is too long, without credit or on a full lane is not taken, and leaves no trace", () => {
    const long = createRecorder()
    expect(long.outbox.push(push(20_000), reference(1))).toBe(false)
    const poor = createRecorder()
    for (let n = 0; n < 40; n++) poor.outbox.bulk(data(60_000), null)
    poor.outbox.flush()
    const taken = [1, 2, 3, 4, 5, 6, 7, 8].map((at) => poor.outbox.push(push(12_000), reference(at)))
    expect(taken).toContain(false)
    expect(poor.outbox.unacknowledged).toBe(taken.filter(Boolean).length)
    const full = createRecorder()
    full.buffered.control = 300_000
    expect(full.outbox.push(push(10), reference(1))).toBe(false)
    for (const { outbox } of [long, full])
      expect([outbox.unacknowledged, outbox.counters.framesOut]).toEqual([0, 0])
  })

  test("is not taken while too many are not acknowledged, however short they are", () => {
    const { outbox } = createRecorder()
    outbox.credited(Number.MAX_SAFE_INTEGER)
    let taken = 0
    for (let n = 0; n < MAX_UNACKNOWLEDGED + 3; n++) {
      if (outbox.push(push(0), reference(1))) taken++
      outbox.flush()
    }
    expect(taken).toBe(MAX_UNACKNOWLEDGED)
    outbox.acknowledged(1, 0)
    expect(outbox.push(push(0), reference(1))).toBe(true)
  })
})

describe("acknowledgements", () => {
  test("confirm by lane and in order, as cumulative counts", () => {
    const { outbox } = createRecorder()
    for (const changes of [1, 2]) outbox.push(push(1), reference(changes))
    for (const changes of [3, 4, 5]) outbox.bulk(data(1), reference(changes))
    outbox.bulk(chunk(1), null)
    expect(outbox.unacknowledged).toBe(5)
    expect(outbox.acknowledged(1, 2)?.map(({ changes }) => changes)).toEqual([1, 3, 4])
    expect(outbox.acknowledged(1, 2)).toEqual([])
    expect(outbox.acknowledged(2, 3)?.map(({ changes }) => changes)).toEqual([2, 5])
    expect(outbox.unacknowledged).toBe(0)
  })

  test("of what was never sent, or taken back, are told from honest ones", () => {
    const { outbox } = createRecorder()
    outbox.bulk(data(1), reference(1))
    expect(outbox.acknowledged(0, 2)).toBeNull()
    outbox.acknowledged(0, 1)
    expect(outbox.acknowledged(0, 0)).toBeNull()
  })
})

test("a flush asks the transport about the lanes that it has something for", () => {
  const asked: Lane[] = []
  const outbox = createOutbox({
    maxMessageBytes: 262_144,
    send() {},
    buffered(lane) {
      asked.push(lane)
      return 0
    },
  })
  outbox.flush()
  expect(asked).toEqual([])
  outbox.control({ type: "ping", nonce: 1 })
  outbox.flush()
  expect(asked).toEqual(["control"])
})
