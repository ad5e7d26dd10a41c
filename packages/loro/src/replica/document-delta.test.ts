import { readFileSync } from "node:fs"

import { DecodeError } from "@dunlin/core"
import fc from "fast-check"
import { LoroDoc, type PeerID, type Value } from "loro-crdt"
import { describe, expect, test } from "vitest"

import { hashContent } from "./document-audit.ts"
import { decodeDelta, decodeSummary, encodeDelta, encodeSummary, parseDelta } from "./document-delta.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"

type Bytes = string | { readonly head: string; readonly byte: string; readonly times: number }
interface Vector {
  readonly name: string
  readonly bytes: Bytes
}
/** Byte fields are hex and versions are objects; `revive` turns them into what the codecs use. */
type Spelled = Readonly<Record<string, unknown>>

// As in docs/protocol/loro.md: changed bytes are another protocol.
const vectors = JSON.parse(
  readFileSync(new URL("../../../core/vectors/loro.json", import.meta.url), "utf8"),
) as {
  readonly tombstone: string
  readonly deltas: readonly (Vector & { readonly delta: Spelled })[]
  readonly invalidDeltas: readonly Vector[]
  readonly summaries: readonly (Vector & { readonly summary: Spelled })[]
  readonly invalidSummaries: readonly Vector[]
  readonly contents: readonly {
    readonly document: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    readonly text: string
    readonly content: string
  }[]
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (bytes: Bytes): Uint8Array =>
  new Uint8Array(
    Buffer.from(typeof bytes === "string" ? bytes : bytes.head + bytes.byte.repeat(bytes.times), "hex"),
  )

function revive(value: unknown, name = ""): unknown {
  if (name === "version") return new Map(Object.entries(value as Record<PeerID, number>))
  if (typeof value === "string") return name === "type" ? value : bytesOf(value)
  return Object.fromEntries(Object.entries(value as Spelled).map(([key, inner]) => [key, revive(inner, key)]))
}

describe("deltas", () => {
  test.each(vectors.deltas)("frozen: $name", ({ delta, bytes }) => {
    const decoded = decodeDelta(bytesOf(bytes))
    expect(decoded).toEqual(revive(delta))
    expect(hex(encodeDelta(decoded))).toBe(bytes)
  })

  test.each(vectors.invalidDeltas)("a frozen one is refused: $name", ({ bytes }) => {
    expect(() => decodeDelta(bytesOf(bytes))).toThrow(DecodeError)
  })

  test("are read or refused, whatever they are", () => {
    const bytes = fc.tuple(fc.constantFrom(0, 1), fc.nat(6), fc.uint8Array({ maxLength: 60 }))
    fc.assert(
      fc.property(bytes, ([format, tag, rest]) => {
        expect(parseDelta(Uint8Array.of(format, tag, ...rest))).toHaveProperty("type")
      }),
    )
  })
})

describe("summaries", () => {
  test.each(vectors.summaries)("frozen: $name", ({ summary, bytes }) => {
    const decoded = decodeSummary(bytesOf(bytes))
    expect(decoded).toEqual(revive(summary))
    expect(hex(encodeSummary(decoded))).toBe(bytes)
  })

  test.each(vectors.invalidSummaries)("a frozen one is refused: $name", ({ bytes }) => {
    expect(() => decodeSummary(bytesOf(bytes))).toThrow(DecodeError)
  })
})

test("the state hash of a deleted document is frozen", () => {
  expect(hex(TOMBSTONE_HASH)).toBe(vectors.tombstone)
})

test.each(vectors.contents)("frozen content: $text", ({ document, content }) => {
  const doc = new LoroDoc()
  for (const [root, fields] of Object.entries(document)) {
    for (const [name, value] of Object.entries(fields)) doc.getMap(root).set(name, valueOf(value))
  }
  expect(hex(hashContent(doc) ?? new Uint8Array())).toBe(content)
})

function valueOf(value: unknown): Value {
  const isBytes = typeof value === "object" && value !== null && "hex" in value
  return isBytes ? bytesOf(value.hex as string) : (value as Value)
}
