import { expect, test } from "vitest"
import vectors from "../../vectors/webrtc.json" with { type: "json" }
import { DecodeError } from "../protocol/decode-error.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { decodeCandidates, encodeCandidates } from "./candidate-batch.ts"
import { decodeHangUp, encodeHangUp, type HangUp } from "./hang-up.ts"
import { readFingerprint } from "./session-description.ts"

test.each(vectors.candidates)("frozen candidates: $name", ({ candidates, payload }) => {
  expect(bytesToHex(encodeCandidates(candidates))).toBe(payload)
  expect(decodeCandidates(hexToBytes(payload))).toEqual(candidates)
})

test.each(vectors.invalidCandidates)("frozen candidates are refused: $name", ({ payload }) => {
  expect(() => decodeCandidates(hexToBytes(payload))).toThrow(DecodeError)
})

test.each(vectors.hangUps)("a frozen hang-up: $payload", ({ hangUp, payload }) => {
  expect(bytesToHex(encodeHangUp(hangUp as HangUp))).toBe(payload)
  expect(decodeHangUp(hexToBytes(payload))).toEqual(hangUp)
})

test("a hang-up for a reason of later versions reads as lost", () => {
  expect(decodeHangUp(Uint8Array.of(7, 1, 2))).toEqual({ reason: "lost" })
})

test("the certificate in a frozen description", () => {
  for (const { sdp, certificate } of vectors.descriptions) {
    const print = readFingerprint(sdp)
    expect(typeof print === "string" ? print : bytesToHex(print)).toBe(certificate)
  }
})

test.each(vectors.invalidDescriptions)("a frozen description is refused: $name", ({ sdp }) => {
  expect(readFingerprint(sdp)).toBeTypeOf("string")
})
