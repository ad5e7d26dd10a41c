import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError, type DecodeErrorCode } from "./decode-error.ts"
import type { Frame } from "./frame.ts"
import { decodeFrame, encodeFrame } from "./frame-codec.ts"
import * as limits from "./limits.ts"

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })
const upTo = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })
const slot = fc.integer({ min: 0, max: limits.MAX_SLOTS - 1 })
const u8 = fc.integer({ min: 0, max: 255 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const text = (maxLength: number): fc.Arbitrary<string> => fc.string({ unit: "binary", maxLength })
const items = <Item>(item: fc.Arbitrary<Item>): fc.Arbitrary<Item[]> => fc.array(item, { maxLength: 5 })
const nullable = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> =>
  fc.option(value, { nil: null })

const arbitraries: { readonly [Type in Frame["type"]]: fc.Arbitrary<Extract<Frame, { type: Type }>> } = {
  hello: fc.record({
    type: fc.constant("hello"),
    version: fc.constant(limits.PROTOCOL_VERSION),
    session: bytes(16),
    maxMessageBytes: fc.integer({ min: limits.MIN_MESSAGE_BYTES, max: 0xffff_ffff }),
    refusesEntries: fc.boolean(),
  }),
  announce: fc.record({
    type: fc.constant("announce"),
    slot,
    name: text(20).filter((name) => name !== ""),
    kind: u8,
    schemaTag: text(20),
    direction: fc.constantFrom("both", "send-only", "receive-only"),
    count: u32,
    root: bytes(16),
    basis: nullable(bytes(16)),
  }),
  withdraw: fc.record({ type: fc.constant("withdraw"), slot }),
  range: fc.record({
    type: fc.constant("range"),
    slot,
    salt: u32,
    sequence: u32,
    reply: fc.boolean(),
    grant: fc.integer({ min: 0, max: limits.MAX_GRANT_BYTES }),
    records: upTo(40),
  }),
  "range-ack": fc.record({
    type: fc.constant("range-ack"),
    slot,
    salt: u32,
    sequence: u32,
    answered: fc.integer({ min: 0, max: limits.MAX_GRANT_BYTES }),
    later: fc.boolean(),
  }),
  offer: fc.record({
    type: fc.constant("offer"),
    slot,
    items: items(fc.record({ position: bytes(16), digest: bytes(8) })),
  }),
  want: fc.record({
    type: fc.constant("want"),
    slot,
    items: items(fc.record({ position: bytes(16), summary: upTo(200) })),
  }),
  data: fc.record({
    type: fc.constant("data"),
    slot,
    kind: u8,
    key: text(60),
    digest: bytes(8),
    delta: upTo(300),
  }),
  push: fc.record({
    type: fc.constant("push"),
    slot,
    kind: u8,
    key: text(60),
    before: bytes(8),
    after: bytes(8),
    delta: upTo(300),
  }),
  have: fc.record({
    type: fc.constant("have"),
    slot,
    items: items(fc.record({ position: bytes(16), digest: bytes(8) })),
  }),
  ack: fc.record({ type: fc.constant("ack"), control: fc.maxSafeNat(), bulk: fc.maxSafeNat() }),
  nak: fc.record({
    type: fc.constant("nak"),
    slot,
    items: items(fc.record({ position: bytes(16), digest: bytes(8), again: fc.boolean(), reason: text(20) })),
  }),
  root: fc.record({
    type: fc.constant("root"),
    roots: items(
      fc.record({
        slot,
        count: u32,
        root: bytes(16),
        settled: fc.boolean(),
        answer: fc.boolean(),
        agreed: fc.boolean(),
      }),
    ),
  }),
  credit: fc.record({ type: fc.constant("credit"), total: fc.maxSafeNat() }),
  links: fc.record({ type: fc.constant("links"), sessions: items(bytes(16)) }),
  presence: fc.record({ type: fc.constant("presence"), value: nullable(upTo(100)) }),
  "chunk-want": fc.record({
    type: fc.constant("chunk-want"),
    slot,
    position: bytes(16),
    blob: bytes(32),
    size: fc.integer({ min: 0, max: limits.MAX_BLOB_BYTES }),
    first: fc.integer({ min: 0, max: limits.MAX_BLOB_BYTES / limits.CHUNK_BYTES }),
    bitmap: fc.uint8Array({ minLength: 1, maxLength: 50 }),
  }),
  chunk: fc.record({
    type: fc.constant("chunk"),
    slot,
    position: bytes(16),
    blob: bytes(32),
    index: fc.integer({ min: 0, max: limits.MAX_BLOB_BYTES / limits.CHUNK_BYTES }),
    bytes: upTo(300),
  }),
  ping: fc.record({ type: fc.constant("ping"), nonce: u32 }),
  pong: fc.record({ type: fc.constant("pong"), nonce: u32 }),
  fragment: fc.record({
    type: fc.constant("fragment"),
    size: fc.integer({ min: 601, max: limits.MAX_ENTRY_BYTES }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 600 }),
  }),
  bye: fc.record({ type: fc.constant("bye"), reason: text(40) }),
  prune: fc.record({ type: fc.constant("prune"), slot }),
  "presence-relay": fc.record({
    type: fc.constant("presence-relay"),
    session: bytes(16),
    device: bytes(32),
    sequence: fc.maxSafeNat(),
    ageMs: u32,
    signature: bytes(64),
    value: nullable(upTo(100)),
  }),
  "synced-want": fc.record({
    type: fc.constant("synced-want"),
    nonce: u32,
    over: fc.boolean(),
    slots: fc.array(slot, { maxLength: 3 }),
    positions: fc.array(bytes(16), { maxLength: 3 }),
  }),
  "synced-answer": fc.record({
    type: fc.constant("synced-answer"),
    nonce: u32,
    devices: fc.array(
      fc.record({
        device: bytes(32),
        holding: fc.constantFrom("synced", "no-peers", "refused", "pending"),
      }),
      { maxLength: 3 },
    ),
  }),
  withheld: fc.record({
    type: fc.constant("withheld"),
    slot,
    positions: fc.array(bytes(16), { maxLength: 3 }),
  }),
}

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(...Object.values(arbitraries))

function codeOf(input: Uint8Array): DecodeErrorCode | "decoded" {
  try {
    decodeFrame(input)
    return "decoded"
  } catch (error) {
    if (error instanceof DecodeError) return error.code
    throw error
  }
}

describe("every frame", () => {
  for (const [type, arbitrary] of Object.entries(arbitraries)) {
    test(`${type} survives encoding and decoding`, () => {
      fc.assert(
        fc.property(arbitrary as fc.Arbitrary<Frame>, (frame) => {
          expect(decodeFrame(encodeFrame(frame))).toEqual(frame)
        }),
      )
    })
  }

  test("has one form: what decodes encodes to the same bytes", () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), u8, (frame, at, value) => {
        const mutated = encodeFrame(frame).slice()
        mutated[at % mutated.length] = value
        if (codeOf(mutated) !== "decoded") return
        expect(encodeFrame(decodeFrame(mutated))).toEqual(mutated)
      }),
      { numRuns: 2_000 },
    )
  })

  test("keeps no view on the input", () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        const input = encodeFrame(frame).slice()
        const decoded = decodeFrame(input)
        input.fill(0xee)
        expect(decoded).toEqual(frame)
      }),
    )
  })
})

describe("hostile bytes", () => {
  test("cause a DecodeError or nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => void codeOf(input)),
      { numRuns: 5_000 },
    )
  })

  test("cut off anywhere, are truncated or end differently, and throw nothing else", () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), (frame, at) => {
        const whole = encodeFrame(frame)
        void codeOf(whole.subarray(0, at % whole.length))
      }),
      { numRuns: 2_000 },
    )
  })

  test("are refused behind the end of a frame of fixed length", () => {
    const ping = encodeFrame({ type: "ping", nonce: 1 })
    expect(codeOf(Uint8Array.of(...ping, 0))).toBe("trailing-bytes")
  })

  test("of an unknown type are named so", () => {
    expect(codeOf(Uint8Array.of(200))).toBe("unknown-tag")
    expect(codeOf(Uint8Array.of(0))).toBe("unknown-tag")
  })

  test("of no length at all are truncated", () => {
    expect(codeOf(new Uint8Array(0))).toBe("truncated")
  })

  test("of another version are refused before anything else of them is read", () => {
    expect(codeOf(Uint8Array.of(1, 2))).toBe("unknown-version")
  })

  test("that promise more items than they carry cost no memory", () => {
    const have = new ByteWriter().u8(10).varint(0).varint(1_024).bytes(new Uint8Array(24)).finish()
    expect(codeOf(have)).toBe("truncated")
  })
})

describe("a bound", () => {
  const zeros = (length: number): Uint8Array => new Uint8Array(length)
  const position = zeros(16)
  const digest = zeros(8)
  const repeat = <Item>(length: number, item: Item): Item[] => Array.from({ length }, () => item)
  const reason = "r".repeat(limits.MAX_REASON_BYTES)
  const announce = {
    type: "announce",
    slot: 0,
    name: "n",
    kind: 0,
    schemaTag: "",
    direction: "both",
    count: 0,
    root: position,
    basis: null,
  } as const
  const data = { type: "data", slot: 0, kind: 0, key: "", digest, delta: digest } as const
  const range = {
    type: "range",
    slot: 0,
    salt: 0,
    sequence: 0,
    reply: false,
    grant: 0,
    records: digest,
  } as const
  const wanted = {
    type: "chunk-want",
    slot: 0,
    position,
    blob: zeros(32),
    size: 0,
    first: 0,
    bitmap: zeros(1),
  } as const
  const chunk = { type: "chunk", slot: 0, position, blob: zeros(32), index: 0, bytes: digest } as const
  const fragment = { type: "fragment", size: 2_000, bytes: zeros(512) } as const

  const cases: readonly {
    readonly of: string
    readonly within: Frame
    readonly beyond: Frame
    readonly code: DecodeErrorCode
  }[] = [
    {
      of: "slots",
      within: { type: "withdraw", slot: limits.MAX_SLOTS - 1 },
      beyond: { type: "withdraw", slot: limits.MAX_SLOTS },
      code: "bad-number",
    },
    {
      of: "a replica's name",
      within: { ...announce, name: "n".repeat(limits.MAX_NAME_BYTES) },
      beyond: { ...announce, name: "n".repeat(limits.MAX_NAME_BYTES + 1) },
      code: "bad-number",
    },
    { of: "an empty name", within: announce, beyond: { ...announce, name: "" }, code: "bad-value" },
    {
      of: "a schema tag",
      within: { ...announce, schemaTag: "n".repeat(limits.MAX_NAME_BYTES) },
      beyond: { ...announce, schemaTag: "n".repeat(limits.MAX_NAME_BYTES + 1) },
      code: "bad-number",
    },
    {
      of: "a key",
      within: { ...data, key: "k".repeat(limits.MAX_KEY_BYTES) },
      beyond: { ...data, key: "k".repeat(limits.MAX_KEY_BYTES + 1) },
      code: "bad-number",
    },
    {
      of: "records",
      within: { ...range, records: zeros(limits.MAX_RANGE_BYTES) },
      beyond: { ...range, records: zeros(limits.MAX_RANGE_BYTES + 1) },
      code: "frame-too-large",
    },
    {
      of: "a grant",
      within: { ...range, grant: limits.MAX_GRANT_BYTES },
      beyond: { ...range, grant: limits.MAX_GRANT_BYTES + 1 },
      code: "bad-number",
    },
    {
      of: "items",
      within: { type: "have", slot: 0, items: repeat(limits.MAX_ITEMS, { position, digest }) },
      beyond: { type: "have", slot: 0, items: repeat(limits.MAX_ITEMS + 1, { position, digest }) },
      code: "too-many-items",
    },
    {
      of: "a summary",
      within: { type: "want", slot: 0, items: [{ position, summary: zeros(limits.MAX_SUMMARY_BYTES) }] },
      beyond: { type: "want", slot: 0, items: [{ position, summary: zeros(limits.MAX_SUMMARY_BYTES + 1) }] },
      code: "bad-number",
    },
    {
      of: "a reason",
      within: { type: "nak", slot: 0, items: [{ position, digest, again: false, reason }] },
      beyond: { type: "nak", slot: 0, items: [{ position, digest, again: false, reason: `${reason}r` }] },
      code: "bad-number",
    },
    {
      of: "a farewell",
      within: { type: "bye", reason },
      beyond: { type: "bye", reason: `${reason}r` },
      code: "bad-number",
    },
    {
      of: "links",
      within: { type: "links", sessions: repeat(limits.MAX_LINKS_ANNOUNCED, position) },
      beyond: { type: "links", sessions: repeat(limits.MAX_LINKS_ANNOUNCED + 1, position) },
      code: "too-many-items",
    },
    {
      of: "presence",
      within: { type: "presence", value: zeros(limits.MAX_PRESENCE_BYTES) },
      beyond: { type: "presence", value: zeros(limits.MAX_PRESENCE_BYTES + 1) },
      code: "frame-too-large",
    },
    {
      of: "a blob",
      within: { ...wanted, size: limits.MAX_BLOB_BYTES },
      beyond: { ...wanted, size: limits.MAX_BLOB_BYTES + 1 },
      code: "bad-number",
    },
    {
      of: "a bitmap",
      within: { ...wanted, bitmap: zeros(1_024) },
      beyond: { ...wanted, bitmap: zeros(1_025) },
      code: "bad-value",
    },
    {
      of: "a chunk",
      within: { ...chunk, bytes: zeros(limits.CHUNK_BYTES) },
      beyond: { ...chunk, bytes: zeros(limits.CHUNK_BYTES + 1) },
      code: "frame-too-large",
    },
    {
      of: "a fragmented frame",
      within: { ...fragment, size: limits.MAX_ENTRY_BYTES + limits.MAX_KEY_BYTES + 64 },
      beyond: { ...fragment, size: limits.MAX_ENTRY_BYTES + limits.MAX_KEY_BYTES + 65 },
      code: "bad-number",
    },
    {
      of: "a piece",
      within: { ...fragment, bytes: zeros(1_999) },
      beyond: { ...fragment, bytes: zeros(2_000) },
      code: "bad-value",
    },
    { of: "an empty piece", within: fragment, beyond: { ...fragment, bytes: zeros(0) }, code: "bad-value" },
    {
      of: "a message's cap",
      within: {
        type: "hello",
        version: 1,
        session: position,
        maxMessageBytes: limits.MIN_MESSAGE_BYTES,
        refusesEntries: false,
      },
      beyond: {
        type: "hello",
        version: 1,
        session: position,
        maxMessageBytes: limits.MIN_MESSAGE_BYTES - 1,
        refusesEntries: false,
      },
      code: "bad-value",
    },
  ]

  for (const { of, within, beyond, code } of cases) {
    test(`on ${of} is kept to the last one`, () => {
      expect(codeOf(encodeFrame(within))).toBe("decoded")
      expect(codeOf(encodeFrame(beyond))).toBe(code)
    })
  }

  test("on flags leaves no bit without a meaning", () => {
    const root = encodeFrame({
      type: "root",
      roots: [{ slot: 0, count: 0, root: position, settled: true, answer: true, agreed: true }],
    }).slice()
    expect(codeOf(root)).toBe("decoded")
    root[root.length - 1] = 8
    expect(codeOf(root)).toBe("bad-value")
  })
})
