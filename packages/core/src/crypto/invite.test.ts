import fc from "fast-check"
import { describe, expect, test } from "vitest"
import vectors from "../../vectors/invite.json" with { type: "json" }
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { decodeInvite, encodeInvite, inviteOfTopic, isInviteDefect } from "./invite.ts"
import { fromBase64Url, toBase64Url } from "./primitives.ts"

const invite = {
  roomId: new Uint8Array(16).fill(1),
  epoch: 7,
  secret: new Uint8Array(32).fill(2),
  servers: ["wss://signal.example.org/", "ws://127.0.0.1:8080"],
}
const text = encodeInvite(invite)

test("frozen invites read and write as ever", () => {
  for (const { text: frozen, roomId, epoch, secret, servers } of vectors.invites) {
    const fields = { roomId: hexToBytes(roomId), epoch, secret: hexToBytes(secret), servers }
    expect(encodeInvite(fields)).toBe(frozen)
    expect(decodeInvite(frozen)).toEqual(fields)
  }
})

test.each(vectors.invalid)("frozen text is refused: $name", ({ text: frozen }) => {
  expect(decodeInvite(frozen)).toHaveProperty("code")
})

test("frozen topics lead to the rooms they always led to", () => {
  for (const { topic, secret, roomId, roomSecret } of vectors.topics) {
    const room = inviteOfTopic(topic, secret === null ? {} : { secret })
    expect([bytesToHex(room.roomId), bytesToHex(room.secret)]).toEqual([roomId, roomSecret])
  }
})

test("an invite survives a fragment and a whole URL", () => {
  expect(decodeInvite(`#${text}`)).toEqual(invite)
  expect(decodeInvite(`https://app.example.org/path?query#${text}`)).toEqual(invite)
  expect(decodeInvite(` ${text}\n`)).toEqual(invite)
})

/** The bytes of the invite above with one change. */
function changed(change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | void): string {
  const bytes = fromBase64Url(text)
  if (bytes === null) throw new Error("the invite of this test is broken")
  return toBase64Url(change(bytes) ?? bytes)
}

describe("refuses", () => {
  const cases: Record<string, [string, "bad-invite" | "invite-too-new"]> = {
    nothing: ["", "bad-invite"],
    "an empty fragment": ["#", "bad-invite"],
    "characters of no invite": ["not an invite!", "bad-invite"],
    "an invite that was cut": [text.slice(0, -9), "bad-invite"],
    "an invite without its secret": [changed((bytes) => bytes.slice(0, 22)), "bad-invite"],
    "bytes behind the end": [changed((bytes) => Uint8Array.of(...bytes, 0)), "bad-invite"],
    "version 0": [changed((bytes) => void (bytes[0] = 0)), "bad-invite"],
    "a later version": [changed((bytes) => void (bytes[0] = 2)), "invite-too-new"],
    "a later suite": [changed((bytes) => void (bytes[1] = 2)), "invite-too-new"],
    "too many servers": [changed((bytes) => void (bytes[54] = 9)), "bad-invite"],
    "more servers than there are": [changed((bytes) => void (bytes[54] = 3)), "bad-invite"],
    "a server that is a script": [
      toBase64Url(
        Uint8Array.of(
          ...(fromBase64Url(encodeInvite({ ...invite, servers: [] })) ?? []).slice(0, 54),
          1,
          18,
          ...new TextEncoder().encode("javascript:alert()"),
        ),
      ),
      "bad-invite",
    ],
    "text without end": ["A".repeat(100_000), "bad-invite"],
  }
  for (const [name, [input, code]] of Object.entries(cases)) {
    test(name, () => expect(decodeInvite(input)).toMatchObject({ code }))
  }
})

test("whatever the text, the answer is an invite or a defect, and an invite reads back", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.uint8Array({ maxLength: 200 }).map(toBase64Url)), (input) => {
      const outcome = decodeInvite(input)
      if (isInviteDefect(outcome)) expect(outcome.reason).not.toBe("")
      else expect(decodeInvite(encodeInvite(outcome))).toEqual(outcome)
    }),
  )
})

test("a server that is no signaling URL is refused when the invite is made", () => {
  expect(() => encodeInvite({ ...invite, servers: ["https://example.org"] })).toThrow(RangeError)
})
