import { describe, expect, test } from "vitest"
import { bytesToHex } from "../protocol/hex.ts"
import {
  type DescriptionDefect,
  isFromLibDataChannel,
  readFingerprint,
  withoutCandidates,
} from "./session-description.ts"

const print = Array.from({ length: 32 }, (_, index) => (index + 160).toString(16).toUpperCase()).join(":")
const other = print.replace("A0", "00")
const lines = [
  "v=0",
  "o=rtc 1 0 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 0.0.0.0",
  "a=mid:0",
  "a=sctp-port:5000",
  `a=fingerprint:sha-256 ${print}`,
  "a=candidate:1 1 UDP 1 127.0.0.1 5000 typ host",
  "a=end-of-candidates",
]
const sdp = (...more: readonly string[]): string => [...lines, ...more, ""].join("\r\n")

test("reads the one fingerprint, also when it is repeated or differs in case", () => {
  const expected = print.replaceAll(":", "").toLowerCase()
  for (const text of [
    sdp(),
    sdp(`a=fingerprint:SHA-256 ${print.toLowerCase()}`),
    sdp().replaceAll("\r\n", "\n"),
  ]) {
    const found = readFingerprint(text)
    expect(found instanceof Uint8Array && bytesToHex(found)).toBe(expected)
  }
})

describe("refuses", () => {
  const cases: Record<string, [DescriptionDefect, string]> = {
    nothing: ["not-one-media", ""],
    "a second media section": ["not-one-media", sdp("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")],
    audio: ["not-one-media", sdp().replace("m=application", "m=audio")],
    "video beside data": ["not-one-media", sdp("m=video 9 UDP/TLS/RTP/SAVPF 96")],
    "no fingerprint": ["no-fingerprint", sdp().replace("a=fingerprint", "a=finger")],
    "two fingerprints": ["several-fingerprints", sdp(`a=fingerprint:sha-256 ${other}`)],
    "a second fingerprint in other case": ["several-fingerprints", sdp(`A=FINGERPRINT:SHA-256 ${other}`)],
    "SHA-1": ["weak-fingerprint", sdp().replace(/sha-256 .*/, `sha-1 ${print.slice(0, 59)}`)],
    "SHA-1 beside SHA-256": ["several-fingerprints", sdp(`a=fingerprint:sha-1 ${print.slice(0, 59)}`)],
    "a short fingerprint": ["weak-fingerprint", sdp().replace(print, print.slice(3))],
    "a long fingerprint": ["weak-fingerprint", sdp().replace(print, `${print}:00`)],
    "no hex digits": ["weak-fingerprint", sdp().replace(print, print.replace("A0", "ZZ"))],
    "too much text": ["too-long", sdp("a=x".repeat(6000))],
  }
  for (const [name, [defect, text]] of Object.entries(cases)) {
    test(name, () => expect(readFingerprint(text)).toBe(defect))
  }
})

test("takes candidates out and nothing else", () => {
  expect(withoutCandidates(sdp())).toBe([...lines.slice(0, -2), ""].join("\r\n"))
})

test("knows libdatachannel by its origin line", () => {
  expect(isFromLibDataChannel(sdp())).toBe(true)
  expect(isFromLibDataChannel(sdp().replace("o=rtc", "o=-"))).toBe(false)
})
