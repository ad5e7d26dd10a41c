import fc from "fast-check"
import { describe, expect, test } from "vitest"
import vectors from "../../../vectors/register.json" with { type: "json" }
import { DecodeError } from "../decode-error.ts"
import { decodeDelta, decodeSummary, encodeDelta, encodeSummary } from "./codec.ts"
import {
  EMPTY_REGISTER,
  joinRegister,
  needsFold,
  type RegisterState,
  summarizeRegister,
  wholeDelta,
} from "./register.ts"
import { stateHash } from "./state-hash.ts"
import { birthIncarnation, hashValue } from "./value.ts"
import { foldView, laterWins } from "./view.ts"

const fromHex = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, "hex"))
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("register codec", () => {
  for (const vector of vectors.states)
    test(`frozen bytes: ${vector.name}`, () => {
      const state = stateOf(vector.delta)
      expect(Object.fromEntries(state.context)).toEqual(vector.context)
      expect(
        state.siblings.map(({ dot, deleted, payload, fields }) => ({
          dot,
          deleted,
          payload,
          ...(fields && { fields }),
        })),
      ).toEqual(vector.siblings)
      expect(state.siblings.map(({ hash }) => toHex(hash))).toEqual(vector.hashes ?? [])
      expect(state.view?.payload ?? null).toEqual(vector.view)
      expect(toHex(stateHash(state))).toBe(vector.stateHash)
      expect(toHex(encodeDelta(wholeDelta(state)))).toBe(vector.delta)
      expect(toHex(encodeSummary(summarizeRegister(state)))).toBe(vector.summary)
    })

  for (const vector of vectors.joins)
    test(`frozen join: ${vector.name}`, async () => {
      const joined = joinRegister(stateOf(vector.held), decodeDelta(fromHex(vector.delta)))
      expect(joined.type).toBe(vector.outcome)
      if (joined.type !== "joined") return
      const { state, changed, senderLacks } = joined
      const view = needsFold(state)
        ? (await foldView(state.siblings, { handler: laterWins })).view
        : state.view
      expect(toHex(encodeDelta(wholeDelta({ ...state, view })))).toBe(vector.joined)
      expect({ changed, senderLacks: senderLacks !== null }).toEqual({
        changed: vector.changed,
        senderLacks: vector.senderLacks,
      })
    })

  test.each(vectors.invalidDeltas)("a frozen delta is refused: $name", ({ bytes }) => {
    expect(() => decodeDelta(fromHex(bytes))).toThrow(DecodeError)
  })

  test.each(vectors.invalidSummaries)("a frozen summary is refused: $name", ({ bytes }) => {
    expect(() => decodeSummary(fromHex(bytes))).toThrow(DecodeError)
  })

  test.each(vectors.births)("a frozen birth: $key", ({ key, payload, incarnation }) => {
    expect(birthIncarnation(key, hashValue({ deleted: false, payload }).hash)).toBe(incarnation)
  })

  test("a document of one writer costs 24 bytes beside its payload", () => {
    const payload = { text: "x".repeat(100) }
    const bytes = encodeDelta(wholeDelta(single(payload)))
    expect(bytes.length - JSON.stringify(payload).length).toBeLessThanOrEqual(24)
  })

  test("any bytes decode or throw DecodeError, and what decodes encodes to the same", () => {
    const seeds = vectors.states.map((vector) => fromHex(vector.delta))
    const mutated = fc
      .tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
        fc.nat(400),
      )
      .map(([seed, changes, cut]) => {
        const bytes = seed.slice()
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        return cut < bytes.length ? bytes.slice(0, cut) : bytes
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        const delta = attempt(() => decodeDelta(bytes))
        if (delta !== null) expect(toHex(encodeDelta(delta))).toBe(toHex(bytes))
        const summary = attempt(() => decodeSummary(bytes))
        if (summary !== null) expect(toHex(encodeSummary(summary))).toBe(toHex(bytes))
      }),
      { numRuns: 5_000 },
    )
  })

  test("refuses keys that reach prototypes, deep nesting, and JSON of another spelling", () => {
    const wire = encodeDelta(wholeDelta(single({ aaaaaaaaa: 1 })))
    const refused = (text: string): void => {
      const bytes = Buffer.from(wire)
      const at = bytes.indexOf('{"aaaaaaaaa":1}')
      const json = Buffer.from(text)
      const forged = Buffer.concat([bytes.subarray(0, at - 1), varint(json.length), json])
      expect(() => decodeDelta(new Uint8Array(forged))).toThrow(DecodeError)
    }
    refused('{"__proto__":1}')
    refused('{"a":{"constructor":1}}')
    refused('{"a":[{"prototype":1}]}')
    refused('{"b":1,"a":2}')
    refused('{"a": 1}')
    refused('{"a":1.0}')
    refused("[]")
    refused("null")
    refused(`{"a":${"[".repeat(70)}${"]".repeat(70)}}`)
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined()
  })

  test("refuses more entries than the rest of the input can hold before it allocates", () => {
    const head = new Uint8Array([0x11, 0xff, 0x7f, ...new Uint8Array(40)])
    expect(() => decodeDelta(head)).toThrow(DecodeError)
    expect(() => decodeSummary(new Uint8Array(300_000))).toThrow(DecodeError)
  })
})

/** The state that a complete delta, given in hex, leads to. */
function stateOf(delta: string): RegisterState {
  const joined = joinRegister(EMPTY_REGISTER, decodeDelta(fromHex(delta)))
  if (joined.type !== "joined") throw new Error(joined.type)
  return joined.state
}

function single(payload: Record<string, string | number>): RegisterState {
  const dot = { incarnation: "00000000000000aa", hlc: 1_700_000_000_000 * 2048 }
  return {
    context: new Map([[dot.incarnation, dot.hlc]]),
    siblings: [{ ...hashValue({ deleted: false, payload }), dot }],
    view: null,
  }
}

function varint(value: number): Buffer {
  return value < 128 ? Buffer.from([value]) : Buffer.from([(value & 0x7f) | 0x80, value >> 7])
}

function attempt<T>(decode: () => T): T | null {
  try {
    return decode()
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
