import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { advanceFields, mergeFieldValues } from "./merge-fields.ts"
import {
  EMPTY_REGISTER,
  joinRegister,
  needsFold,
  type RegisterState,
  type Sibling,
  wholeDelta,
  writeRegister,
} from "./register.ts"
import { stateHash } from "./state-hash.ts"
import { hashValue, type RegisterValue } from "./value.ts"
import { foldView, laterWins, type MergeHandler, type MergeSide } from "./view.ts"

const textOf = ({ payload }: MergeSide): string =>
  typeof payload["text"] === "string" ? payload["text"] : ""

const sibling = (author: number, hlc: number, text: string): Sibling => ({
  ...hashValue({ deleted: false, payload: { text } }),
  dot: { incarnation: author.toString(16).padStart(16, "0"), hlc },
})

describe("view", () => {
  test("folds in the order of dots, and equal payloads without asking", async () => {
    const calls: string[] = []
    const handler: MergeHandler = (a, b) => {
      calls.push(`${textOf(a)}+${textOf(b)}`)
      return { deleted: false, payload: { text: `${textOf(a)}${textOf(b)}` } }
    }
    const siblings = [sibling(1, 1, "a"), sibling(2, 2, "a"), sibling(1, 3, "b"), sibling(2, 4, "c")]
    const { view } = await foldView(siblings, { handler })
    expect(calls).toEqual(["a+b", "ab+c"])
    expect(view.payload).toEqual({ text: "abc" })
  })

  test("gives the handler fields in one order, whoever wrote them in another", async () => {
    const seen: string[] = []
    const handler: MergeHandler = (a, b) => {
      seen.push(JSON.stringify(a.payload), JSON.stringify(b.payload))
      return { deleted: false, payload: { text: seen.join() } }
    }
    const written = [
      { b: 1, a: { d: 1, c: [{ f: 1, e: 2 }] } },
      { b: 2, a: 0 },
    ]
    const received = [
      { a: { c: [{ e: 2, f: 1 }], d: 1 }, b: 1 },
      { a: 0, b: 2 },
    ]
    const views = [written, received].map((payloads) =>
      foldView(
        payloads.map((payload, at) => ({
          ...sibling(1, at + 1, ""),
          ...hashValue({ deleted: false, payload }),
        })),
        { handler },
      ),
    )
    await Promise.all(views)
    expect(seen.slice(0, 2)).toEqual(['{"a":{"c":[{"e":2,"f":1}],"d":1},"b":1}', '{"a":0,"b":2}'])
    expect(seen.slice(2)).toEqual(seen.slice(0, 2))
  })

  const hostile: readonly (readonly [string, MergeHandler])[] = [
    [
      "throws",
      () => {
        throw new Error("no")
      },
    ],
    ["rejects", () => Promise.reject(new Error("no"))],
    ["returns nothing", () => undefined as never],
    ["returns an array", () => ({ deleted: false, payload: [] }) as never],
    ["returns a number", () => 7 as never],
    ["returns what is not JSON", () => ({ deleted: false, payload: { f: () => 1 } }) as never],
    [
      "returns a key that reaches prototypes",
      () => ({ deleted: false, payload: JSON.parse('{"__proto__":{"x":1}}') as never }),
    ],
    ["returns what the schema refuses", () => ({ deleted: false, payload: { text: "refused" } })],
  ]
  for (const [name, handler] of hostile)
    test(`a handler that ${name} yields to the later sibling, and is told`, async () => {
      const { view, failures } = await foldView([sibling(1, 1, "a"), sibling(2, 2, "b")], {
        handler,
        refuses: (value) => (value.payload["text"] === "refused" ? "not in the schema" : null),
      })
      expect(view.payload).toEqual({ text: "b" })
      expect(failures).toHaveLength(1)
    })

  test("a handler that never answers is given up", async () => {
    const limit = <T>(): Promise<T> => Promise.reject(new Error("too long"))
    const { view, failures } = await foldView([sibling(1, 1, "a"), sibling(2, 2, "b")], {
      handler: () => new Promise(() => {}),
      limit,
    })
    expect(view.payload).toEqual({ text: "b" })
    expect(failures[0]?.cause).toEqual(new Error("too long"))
  })

  test("a handler cannot change what it is given", async () => {
    const siblings = [sibling(1, 1, "a"), sibling(2, 2, "b"), sibling(3, 3, "c")]
    const before = JSON.stringify(siblings)
    await foldView(siblings, {
      handler: (a, b) => {
        Object.assign(a.payload, { text: "changed" })
        Object.assign(b.payload, { text: "changed" })
        return b
      },
    })
    expect(JSON.stringify(siblings)).toBe(before)
  })

  test("two versions of a handler settle, and the view stands while the state stands", async () => {
    let state: RegisterState = EMPTY_REGISTER
    for (const one of [sibling(1, 5, "a"), sibling(2, 6, "b")])
      state = joined(state, writeRegister(new Map(), one.dot, one))
    const oldView = await foldView(state.siblings, { handler: laterWins })
    const newView = await foldView(state.siblings, { handler: (a) => ({ ...a, payload: { merged: true } }) })
    let left: RegisterState = { ...state, view: oldView.view }
    let right: RegisterState = { ...state, view: newView.view }
    for (let round = 0; round < 3; round++) {
      const [nextLeft, nextRight] = [joined(left, right), joined(right, left)]
      left = nextLeft
      right = nextRight
    }
    expect(stateHash(left)).toEqual(stateHash(right))
    expect(needsFold(left)).toBe(false)
  })
})

describe("mergeFields", () => {
  const sides = fc
    .array(
      fc.record({
        field: fc.constantFrom("a", "b", "c"),
        value: fc.nat(3),
        hlc: fc.integer({ min: 1, max: 6 }),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((writes): MergeSide => {
      let side: MergeSide = { deleted: false, payload: {}, fields: { _deleted: 1 }, hlc: 1 }
      for (const { field, value, hlc } of writes)
        side = {
          deleted: false,
          payload: { ...side.payload, [field]: value },
          fields: { ...side.fields, [field]: hlc },
          hlc: Math.max(side.hlc, hlc),
        }
      return side
    })
  const merge = (a: MergeSide, b: MergeSide): MergeSide => ({
    ...(mergeFieldValues(a, b) as RegisterValue),
    hlc: Math.max(a.hlc, b.hlc),
  })
  const hash = (side: MergeSide): string => Buffer.from(hashValue(side).hash).toString("hex")

  test("is commutative, associative and idempotent", () => {
    fc.assert(
      fc.property(sides, sides, sides, (a, b, c) => {
        expect(hash(merge(a, b))).toBe(hash(merge(b, a)))
        expect(hash(merge(merge(a, b), c))).toBe(hash(merge(a, merge(b, c))))
        expect(hash(merge(a, a))).toBe(hash(a))
      }),
      { numRuns: 2_000 },
    )
  })

  test("gives the clock of a write to the fields that it changed", () => {
    const first = { deleted: false, payload: { a: 1, b: 2 } }
    const fields = advanceFields(null, first, 10)
    expect(fields).toEqual({ _deleted: 10, a: 10, b: 10 })
    const second = advanceFields(
      { ...first, fields, hlc: 10 },
      { deleted: false, payload: { a: 1, b: 3, c: 4 } },
      20,
    )
    expect(second).toEqual({ _deleted: 10, a: 10, b: 20, c: 20 })
  })
})

function joined(state: RegisterState, other: RegisterState): RegisterState {
  const result = joinRegister(state, wholeDelta(other))
  if (result.type !== "joined") throw new Error(result.type)
  return result.state
}
