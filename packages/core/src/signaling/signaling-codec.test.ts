import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  type ClientMessage,
  DecodeError,
  decodeClientMessage,
  decodeHostMessage,
  encodeClientMessage,
  encodeHostMessage,
  type HostMessage,
  MAX_FRAME_BYTES,
  MAX_TOKEN_BYTES,
  signalingErrorCodes,
} from "./index.ts"

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })
const peerId = bytesOf(16)
const channel = fc.integer({ min: 1, max: 0xffff })
const u32 = fc.nat(0xffff_ffff)
const u16 = fc.nat(0xffff)
const blob = fc.uint8Array({ minLength: 1, maxLength: 2000 })
const token = fc.string({ maxLength: 200 })

const clientMessage: fc.Arbitrary<ClientMessage> = fc.oneof(
  fc.record({
    type: fc.constant("join" as const),
    channel,
    topic: bytesOf(32),
    peer: peerId,
    resume: fc.option(bytesOf(16).filter((bytes) => bytes.some((byte) => byte !== 0))),
    token,
  }),
  fc.record({ type: fc.constant("leave" as const), channel }),
  fc.record({ type: fc.constant("signal" as const), channel, to: peerId, blob }),
  fc.record({ type: fc.constant("renew" as const), channel, token }),
  fc.constant({ type: "ice-request" as const }),
  fc.record({ type: fc.constant("ping" as const), nonce: u32 }),
)

const limits = fc.record({
  maxFrameBytes: u32,
  messagesPerSecond: u32,
  messageBurst: u32,
  bytesPerSecond: u32,
  byteBurst: u32,
  maxTopics: u16,
  maxPeers: u16,
  heartbeatMs: u32,
})
const ice = fc.record({
  servers: fc.array(
    fc.record({
      urls: fc.array(fc.string({ maxLength: 40 }), { maxLength: 8 }),
      username: fc.string({ maxLength: 40 }),
      credential: fc.string({ maxLength: 40 }),
    }),
    { maxLength: 16 },
  ),
  expiresInMs: u32,
})
const peers = fc.array(peerId, { maxLength: 256 })

const hostMessage: fc.Arbitrary<HostMessage> = fc.oneof(
  fc.record({
    type: fc.constant("joined" as const),
    channel,
    resumed: fc.boolean(),
    resume: bytesOf(16),
    graceMs: u32,
    tokenExpiresInMs: u32,
    limits,
    ice,
    peers,
  }),
  fc.record({ type: fc.constant("left" as const), channel }),
  fc.record({ type: fc.constant("presence" as const), channel, joined: peers, left: peers }),
  fc.record({ type: fc.constant("signal" as const), channel, from: peerId, blob }),
  fc.record({
    type: fc.constant("unreachable" as const),
    channel,
    peer: peerId,
    reason: fc.constantFrom("gone" as const, "away" as const, "busy" as const),
  }),
  fc.record({ type: fc.constant("renewed" as const), channel, tokenExpiresInMs: u32 }),
  fc.record({ type: fc.constant("ice" as const), ice }),
  fc.record({
    type: fc.constant("error" as const),
    channel: fc.nat(0xffff),
    code: fc.constantFrom(...signalingErrorCodes),
    retryMs: u32,
    detail: fc.string({ maxLength: 60 }),
  }),
  fc.record({ type: fc.constant("bye" as const), retryMs: u32 }),
  fc.record({ type: fc.constant("pong" as const), nonce: u32 }),
)

describe("signaling codec", () => {
  test("every client message comes back as it was", () => {
    fc.assert(
      fc.property(clientMessage, (m) => void expect(decodeClientMessage(encodeClientMessage(m))).toEqual(m)),
    )
  })

  test("every host message comes back as it was", () => {
    fc.assert(
      fc.property(hostMessage, (m) => void expect(decodeHostMessage(encodeHostMessage(m))).toEqual(m)),
    )
  })

  test("random bytes decode or throw DecodeError, nothing else", () => {
    const headed = fc
      .tuple(
        fc.constantFrom(1, 6, 0x81, 0x83, 0x87, 0x88, 0x8a, 0),
        fc.nat(3),
        fc.uint8Array({ maxLength: 300 }),
      )
      .map(([tag, ch, body]) => new Uint8Array([1, tag, 0, ch, ...body]))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), headed), (bytes) => {
        expectTotal(() => decodeClientMessage(bytes))
        expectTotal(() => decodeHostMessage(bytes))
      }),
      { numRuns: 3000 },
    )
  })

  test("no strict prefix and no extension of a frame is a frame of the same kind, but for open-ended signals", () => {
    const closed = clientMessage.filter((m) => m.type !== "signal").map(encodeClientMessage)
    fc.assert(
      fc.property(closed, fc.nat(), (frame, cut) => {
        expect(() => decodeClientMessage(frame.subarray(0, cut % frame.length))).toThrow(DecodeError)
        expect(() => decodeClientMessage(new Uint8Array([...frame, 0]))).toThrow(DecodeError)
      }),
    )
  })

  test.each([
    ["another version", "02020001"],
    ["an unknown tag", "017f0001"],
    ["channel 0 for a membership", "01020000"],
    ["a channel for the connection", "0106000100000000"],
    ["an empty signal", `01030001${"11".repeat(16)}`],
    ["nothing at all", ""],
  ])("refuses %s", (_name, hex) => {
    expect(() => decodeClientMessage(new Uint8Array(Buffer.from(hex, "hex")))).toThrow(DecodeError)
  })

  test("refuses a frame over the limit before looking into it", () => {
    const frame = new Uint8Array(MAX_FRAME_BYTES + 1).fill(1)
    expect(() => decodeClientMessage(frame)).toThrow(expect.objectContaining({ code: "frame-too-large" }))
  })

  test("refuses a presence that promises more peers than it has or than fit a room", () => {
    expect(() => decodeHostMessage(new Uint8Array([1, 0x83, 0, 1, 0, 200]))).toThrow(
      expect.objectContaining({ code: "truncated" }),
    )
    expect(() => decodeHostMessage(new Uint8Array([1, 0x83, 0, 1, 1, 1]))).toThrow(
      expect.objectContaining({ code: "too-many-items" }),
    )
  })

  test("refuses to encode what would not fit", () => {
    expect(() =>
      encodeClientMessage({ type: "signal", channel: 1, to: new Uint8Array(15), blob: new Uint8Array(1) }),
    ).toThrow(RangeError)
    expect(() =>
      encodeClientMessage({ type: "renew", channel: 1, token: "x".repeat(MAX_TOKEN_BYTES + 1) }),
    ).toThrow(RangeError)
  })
})

function expectTotal(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError)
  }
}
