import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import type { DecodeError } from "../protocol/decode-error.ts"
import {
  type ClientMessage,
  decodeClientMessage,
  decodeHostMessage,
  encodeClientMessage,
  encodeHostMessage,
  type HostMessage,
} from "./index.ts"

interface Vector {
  readonly name: string
  readonly from: "client" | "host"
  /** Byte fields are written as `{ "hex": "…" }`. */
  readonly message: unknown
  readonly frame: string
}

const vectors = JSON.parse(
  readFileSync(new URL("../../vectors/signaling.json", import.meta.url), "utf8"),
) as readonly Vector[]

const invalid = JSON.parse(
  readFileSync(new URL("../../vectors/signaling-invalid.json", import.meta.url), "utf8"),
) as readonly (Omit<Vector, "message"> & { readonly error: string })[]

describe("frozen signaling frames", () => {
  test.each(invalid)("refused, of a $from: $name", ({ from, frame, error }) => {
    const bytes = new Uint8Array(Buffer.from(frame, "hex"))
    const decode = from === "client" ? decodeClientMessage : decodeHostMessage
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: error }))
  })

  test.each(vectors)("$from: $name", ({ from, message, frame }) => {
    const bytes = new Uint8Array(Buffer.from(frame, "hex"))
    const parsed = reviveBytes(message)
    if (from === "client") {
      expect(decodeClientMessage(bytes)).toEqual(parsed)
      expect(Buffer.from(encodeClientMessage(parsed as ClientMessage)).toString("hex")).toBe(frame)
    } else {
      expect(decodeHostMessage(bytes)).toEqual(parsed)
      expect(Buffer.from(encodeHostMessage(parsed as HostMessage)).toString("hex")).toBe(frame)
    }
  })

  test.each([
    { from: "client", decode: decodeClientMessage },
    { from: "host", decode: decodeHostMessage },
  ] as const)("there is one for every type that a $from sends", ({ from, decode }) => {
    const frozen = vectors.filter((vector) => vector.from === from)
    const tags = new Set(frozen.map(({ frame }) => Number.parseInt(frame.slice(2, 4), 16)))
    const known = Array.from({ length: 256 }, (_, tag) => tag).filter((tag) => isKnown(decode, tag))
    expect([...tags].toSorted((a, b) => a - b)).toEqual(known)
  })
})

/** Whether a frame with this tag is accepted, or refused for something other than its tag. */
function isKnown(decode: (bytes: Uint8Array) => unknown, tag: number): boolean {
  try {
    decode(Uint8Array.of(1, tag, 0, 1))
    return true
  } catch (error) {
    return (error as DecodeError).code !== "unknown-tag"
  }
}

function reviveBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reviveBytes)
  if (typeof value !== "object" || value === null) return value
  if ("hex" in value && typeof value.hex === "string") return new Uint8Array(Buffer.from(value.hex, "hex"))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, reviveBytes(inner)]))
}
