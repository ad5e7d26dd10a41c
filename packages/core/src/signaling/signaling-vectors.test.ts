import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
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

describe("frozen signaling frames", () => {
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

  test("every message type of both sides is frozen", () => {
    const types = vectors.map(({ from, message }) => `${from} ${(message as { type: string }).type}`)
    expect(new Set(types)).toEqual(
      new Set([
        ...["join", "leave", "signal", "renew", "ice-request", "ping"].map((type) => `client ${type}`),
        ...[
          "joined",
          "left",
          "presence",
          "signal",
          "unreachable",
          "renewed",
          "ice",
          "error",
          "bye",
          "pong",
        ].map((type) => `host ${type}`),
      ]),
    )
  })
})

function reviveBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reviveBytes)
  if (typeof value !== "object" || value === null) return value
  if ("hex" in value && typeof value.hex === "string") return new Uint8Array(Buffer.from(value.hex, "hex"))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, reviveBytes(inner)]))
}
