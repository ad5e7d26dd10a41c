import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type IndexEntry, packEntries } from "../testing/pack-entries.ts"
import {
  createFingerprint,
  createFingerprintIndex,
  type Fingerprint,
  type FingerprintIndex,
} from "./fingerprint-index.ts"
import { bytesToHex } from "./hex.ts"

/** The same index, obviously right: a map, with sums computed afresh for each question. */
function createModel() {
  const entries = new Map<string, IndexEntry>()
  const under = (depth: number, prefix: number): IndexEntry[] => {
    const digits = depth === 0 ? "" : prefix.toString(16).padStart(depth, "0")
    return [...entries].filter(([hex]) => hex.startsWith(digits)).map(([, entry]) => entry)
  }
  return { entries, under }
}

function sumOf(entries: readonly IndexEntry[]): Fingerprint {
  const lanes = [0, 0, 0, 0]
  for (const { digest } of entries) {
    const view = new DataView(digest.buffer, digest.byteOffset)
    for (let lane = 0; lane < 4; lane++) {
      lanes[lane] = ((lanes[lane] ?? 0) + view.getUint32(lane * 4)) % 2 ** 32
    }
  }
  const [w0, w1, w2, w3] = lanes as [number, number, number, number]
  return { count: entries.length, w0, w1, w2, w3 }
}

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })
/** Positions that collide often, in prefixes and as a whole. */
const position = fc.oneof(
  bytes16,
  fc.tuple(fc.constantFrom(0, 1, 255), fc.integer({ min: 0, max: 6 })).map(([lead, tail]) => {
    const bytes = new Uint8Array(16).fill(lead)
    bytes[15] = tail
    return bytes
  }),
)
const entry = fc.record({ position, digest: bytes16, key: fc.string({ maxLength: 4 }) })
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("set" as const), entry }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("delete" as const), entry }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("rebuild" as const), entry }) },
)

function compare(index: FingerprintIndex, model: ReturnType<typeof createModel>): void {
  const all = [...model.entries.values()]
  expect(index.count).toBe(all.length)
  const root = sumOf(all)
  const view = new DataView(index.root().buffer)
  expect([0, 4, 8, 12].map((at) => view.getUint32(at))).toEqual([root.w0, root.w1, root.w2, root.w3])
  for (const { position: at, digest, key } of all) {
    expect(index.get(at)).toEqual({ digest, key })
  }
  for (const depth of [0, 1, 2, 3, 4, 7, 8]) {
    for (const prefix of [0, 16 ** depth - 1, Math.floor(16 ** depth / 255)]) {
      if (prefix >= 16 ** depth) continue
      const under = model.under(depth, prefix)
      expect(index.node(depth, prefix, createFingerprint())).toEqual(sumOf(under))
      const visited: string[] = []
      index.forEachIn(depth, prefix, (at, digest, key) => {
        visited.push(`${bytesToHex(at)} ${bytesToHex(digest)} ${key}`)
      })
      expect(visited.toSorted()).toEqual(
        under.map((one) => `${bytesToHex(one.position)} ${bytesToHex(one.digest)} ${one.key}`).toSorted(),
      )
      if (depth === 8) continue
      for (let child = prefix * 16; child < prefix * 16 + 16; child++) {
        expect(index.node(depth + 1, child, createFingerprint())).toEqual(
          sumOf(model.under(depth + 1, child)),
        )
      }
    }
  }
}

describe("fingerprint index", () => {
  test("answers like a map summed afresh, after any commands", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        const index = createFingerprintIndex()
        const model = createModel()
        for (const { type, entry: one } of commands) {
          const at = bytesToHex(one.position)
          if (type === "set") {
            index.set(one.position, one.digest, one.key)
            model.entries.set(at, one)
          } else if (type === "delete") {
            expect(index.delete(one.position)).toBe(model.entries.delete(at))
          } else {
            index.build(packEntries([...model.entries.values(), one]))
            model.entries.set(at, one)
          }
        }
        compare(index, model)
      }),
      { numRuns: 60 },
    )
  })

  test("stays right while it grows through many bucket sizes and shrinks again", () => {
    const index = createFingerprintIndex()
    const model = createModel()
    const entries = pseudoEntries(6_000)
    for (const one of entries) {
      index.set(one.position, one.digest, one.key)
      model.entries.set(bytesToHex(one.position), one)
    }
    compare(index, model)
    for (const one of entries.slice(0, 5_500)) {
      expect(index.delete(one.position)).toBe(true)
      model.entries.delete(bytesToHex(one.position))
    }
    compare(index, model)
    index.clear()
    expect(index.count).toBe(0)
    expect(index.root()).toEqual(new Uint8Array(16))
  })

  test("has the same root whatever the order, and however it was built", () => {
    const entries = pseudoEntries(3_000)
    const one = createFingerprintIndex()
    const other = createFingerprintIndex()
    one.build(packEntries(entries))
    for (const { position: at, digest, key } of entries.toReversed()) other.set(at, digest, key)
    expect(other.root()).toEqual(one.root())
    expect(other.count).toBe(one.count)
  })

  test("of a key given twice to build, the last wins", () => {
    const [one] = pseudoEntries(1) as [IndexEntry]
    const newer = { ...one, digest: new Uint8Array(16).fill(7) }
    const index = createFingerprintIndex()
    index.build(packEntries([one, newer]))
    expect(index.count).toBe(1)
    expect(index.get(one.position)?.digest).toEqual(newer.digest)
  })

  test("holds any number of entries under one word of positions", () => {
    const index = createFingerprintIndex()
    for (let at = 0; at < 2_000; at++) {
      const crowded = new Uint8Array(16).fill(9)
      new DataView(crowded.buffer).setUint32(12, at)
      index.set(crowded, new Uint8Array(16).fill(at & 255), `k${at}`)
    }
    expect(index.node(8, 0x09090909, createFingerprint()).count).toBe(2_000)
    let seen = 0
    index.forEachIn(8, 0x09090909, () => seen++)
    expect(seen).toBe(2_000)
  })

  test("refuses nodes that do not exist and wrong lengths", () => {
    const index = createFingerprintIndex()
    expect(() => index.node(9, 0, createFingerprint())).toThrow(RangeError)
    expect(() => index.node(1, 16, createFingerprint())).toThrow(RangeError)
    expect(() => index.set(new Uint8Array(15), new Uint8Array(16), "")).toThrow(RangeError)
    expect(() => index.get(new Uint8Array(17))).toThrow(RangeError)
  })
})

function pseudoEntries(count: number): IndexEntry[] {
  let state = 1
  const bytes = (): Uint8Array =>
    Uint8Array.from({ length: 16 }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return state >>> 24
    })
  return Array.from({ length: count }, (_, at) => ({ position: bytes(), digest: bytes(), key: `key ${at}` }))
}
