import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { DecodeError } from "./decode-error.ts"
import { encodeFrame, splitFrame } from "./frame-codec.ts"
import { BULK_MESSAGE_BYTES } from "./limits.ts"
import { decodeMessage, encodeMessage, framedBytes } from "./message.ts"

const frames = fc.array(
  fc.uint8Array({ maxLength: 300 }).map((value) => ({ type: "presence" as const, value })),
  { minLength: 1, maxLength: 8 },
)

describe("a message", () => {
  test("brings its frames back in order, with the bytes that credit counts", () => {
    fc.assert(
      fc.property(frames, (sent) => {
        const encoded = sent.map(encodeFrame)
        const message = encodeMessage(encoded)
        expect(message.length).toBe(encoded.reduce((sum, { length }) => sum + framedBytes(length), 0))
        expect(decodeMessage(message)).toEqual(
          sent.map((frame, at) => ({ frame, size: encoded[at]?.length })),
        )
      }),
    )
  })

  test("knows what a frame takes at every length of its length", () => {
    for (const length of [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000]) {
      expect(framedBytes(length)).toBe(encodeMessage([new Uint8Array(length)]).length)
    }
  })

  test("with one bad frame delivers none", () => {
    const good = encodeFrame({ type: "ping", nonce: 1 })
    expect(() => decodeMessage(encodeMessage([good, Uint8Array.of(99)]))).toThrow(DecodeError)
  })

  test("is never empty, nor longer than the limit", () => {
    expect(() => decodeMessage(new Uint8Array(0))).toThrow("truncated")
    expect(() => decodeMessage(new Uint8Array(BULK_MESSAGE_BYTES + 1))).toThrow("frame-too-large")
    const message = encodeMessage([encodeFrame({ type: "bye", reason: "r".repeat(100) })])
    expect(() => decodeMessage(message, message.length)).not.toThrow()
    expect(() => decodeMessage(message, message.length - 1)).toThrow("frame-too-large")
  })

  test("throws nothing but a DecodeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (input) => {
        try {
          decodeMessage(input)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 3_000 },
    )
  })
})

test("a frame whose payload was never copied makes the same message", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), fc.uint8Array({ maxLength: 300 }), (key, delta) => {
      const frame = { type: "data", slot: 3, kind: 1, key, digest: new Uint8Array(8), delta } as const
      expect(encodeMessage([splitFrame(frame)])).toEqual(encodeMessage([encodeFrame(frame)]))
      expect(splitFrame(frame).payload).toBe(delta)
    }),
  )
})
