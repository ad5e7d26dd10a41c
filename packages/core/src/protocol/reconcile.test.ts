import { describe, expect, test } from "vitest"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createFingerprint, createFingerprintIndex, type FingerprintIndex } from "./fingerprint-index.ts"
import vectors from "../../vectors/keyed-digest.json" with { type: "json" }
import { bytesToHex, hexToBytes } from "./hex.ts"
import { createKeyedDigest } from "./keyed-digest.ts"
import { encodeRangeRecord, itemDigestOf, type RangeRecord, suffixOf } from "./range-record.ts"
import { compareRecord, decodeRangeRecords, mixFingerprint, openingRecord, replyBound } from "./reconcile.ts"

const random = createSeededRandom("reconcile")

function indexOf(count: number): FingerprintIndex {
  const index = createFingerprintIndex()
  for (let n = 0; n < count; n++) index.set(random.bytes(16), random.bytes(16), `k${n}`)
  return index
}

interface Found {
  readonly replies: RangeRecord[]
  readonly nodes: string[]
  readonly entries: Uint8Array[]
  readonly differing: Uint8Array[]
  replyBytes: number
}

function compare(index: FingerprintIndex, record: RangeRecord, mayReceive = true): Found {
  const found: Found = { replies: [], nodes: [], entries: [], differing: [], replyBytes: 0 }
  const findings = {
    reply: (bytes: Uint8Array) => {
      found.replyBytes += bytes.length
      found.replies.push(...decodeRangeRecords(bytes))
    },
    lacksNode: (depth: number, prefix: number) => void found.nodes.push(`${depth}/${prefix}`),
    lacksEntry: (position: Uint8Array) => void found.entries.push(position),
    differs: (position: Uint8Array) => void found.differing.push(position),
  }
  compareRecord(index, 1, record, findings, mayReceive)
  return found
}

test("a frozen set of entries has the frozen root and fingerprints", () => {
  for (const { digestKey, kind, entries, count, root, salt, split, items } of vectors.sets) {
    const keyed = createKeyedDigest(hexToBytes(digestKey))
    const index = createFingerprintIndex()
    for (const { key, stateHash } of entries) {
      index.set(keyed.position(key), keyed.digest(kind, key, hexToBytes(stateHash)), key)
    }
    expect([index.count, bytesToHex(index.root())]).toEqual([count, root])
    expect(bytesToHex(openingRecord(index, salt))).toBe(split)
    const [listed] = decodeRangeRecords(hexToBytes(items))
    if (listed?.type !== "items") throw new Error("no list of items")
    expect(itemsOf(index, listed.depth, listed.prefix)).toEqual(listed)
  }
})

const itemsOf = (index: FingerprintIndex, depth = 0, prefix = 0): RangeRecord => {
  const items: { suffix: number; digest: number }[] = []
  index.forEachIn(depth, prefix, (position, digest) => {
    items.push({ suffix: suffixOf(position), digest: itemDigestOf(digest) })
  })
  return { type: "items", depth, prefix, items }
}

describe("comparing a record", () => {
  test("finds nothing against an equal index", () => {
    const index = indexOf(3_000)
    const [opening] = decodeRangeRecords(openingRecord(index, 1))
    expect(compare(index, opening as RangeRecord)).toMatchObject({ replies: [], nodes: [], entries: [] })
  })

  test("names 256 children at once in a large index, 16 in a small one", () => {
    expect(decodeRangeRecords(openingRecord(indexOf(2_001), 1))[0]).toMatchObject({ levels: 2 })
    expect(decodeRangeRecords(openingRecord(indexOf(2_000), 1))[0]).toMatchObject({ levels: 1 })
  })

  test("asks for everything under a child that is empty here, unless nothing may be received", () => {
    const [opening] = decodeRangeRecords(openingRecord(indexOf(1), 1))
    expect(compare(createFingerprintIndex(), opening as RangeRecord).replies).toMatchObject([{ type: "all" }])
    expect(compare(createFingerprintIndex(), opening as RangeRecord, false).replies).toEqual([])
  })

  test("gives what the other side lists as missing, and asks for what is missing here", () => {
    const mine = indexOf(4)
    const theirs = createFingerprintIndex()
    const shared = random.bytes(16)
    const digest = random.bytes(16)
    mine.set(shared, digest, "shared")
    theirs.set(shared, digest, "shared")
    const only = random.bytes(16)
    theirs.set(only, digest, "only")
    const found = compare(mine, itemsOf(theirs))
    expect(found.entries).toHaveLength(4)
    expect(found.differing).toEqual([])
    expect(found.replies).toEqual([{ type: "need", depth: 0, prefix: 0, suffixes: [suffixOf(only)] }])
    expect(compare(mine, itemsOf(theirs), false).replies).toEqual([])
  })

  test("finds entries that both hold in different states", () => {
    const [mine, theirs] = [createFingerprintIndex(), createFingerprintIndex()]
    const position = random.bytes(16)
    mine.set(position, random.bytes(16), "k")
    theirs.set(position, random.bytes(16), "k")
    expect(compare(mine, itemsOf(theirs)).differing).toEqual([position])
  })

  test("gives exactly the entries that are needed", () => {
    const index = indexOf(20)
    const positions: Uint8Array[] = []
    index.forEachIn(0, 0, (position) => void positions.push(position.slice()))
    const suffixes = positions.slice(3, 6).map(suffixOf)
    const found = compare(index, { type: "need", depth: 0, prefix: 0, suffixes: [...suffixes, 77] })
    expect(new Set(found.entries.map(bytesToHex))).toEqual(new Set(positions.slice(3, 6).map(bytesToHex)))
  })

  test("splits a large node instead of going through it, whatever is asked", () => {
    const index = indexOf(5_000)
    for (const record of [
      { type: "items", depth: 0, prefix: 0, items: [] },
      { type: "need", depth: 0, prefix: 0, suffixes: [1, 2, 3] },
    ] as const) {
      const found = compare(index, record)
      expect(found.entries).toEqual([])
      expect(found.replies).toMatchObject([{ type: "split", depth: 0, levels: 1 }])
    }
  })

  test("never answers one record with more than its share of a grant", () => {
    const [mine, theirs] = [indexOf(2_100), indexOf(2_100)]
    const [opening] = decodeRangeRecords(openingRecord(theirs, 1))
    const found = compare(mine, opening as RangeRecord)
    expect(found.replyBytes).toBeGreaterThan(18_000)
    expect(found.replyBytes).toBeLessThanOrEqual(replyBound(opening as RangeRecord))

    const items = Array.from({ length: 1_024 }, (_, at) => ({ suffix: at, digest: at }))
    const list: RangeRecord = { type: "items", depth: 0, prefix: 0, items }
    const needed = compare(indexOf(10), list)
    expect(needed.replyBytes).toBeGreaterThan(5_000)
    expect(needed.replyBytes).toBeLessThanOrEqual(replyBound(list))
  })
})

describe("a frame's records", () => {
  test("are all decoded before one is compared", () => {
    const good = encodeRangeRecord({ type: "all", depth: 0, prefix: 0 })
    expect(decodeRangeRecords(Uint8Array.of(...good, ...good))).toHaveLength(2)
    expect(() => decodeRangeRecords(Uint8Array.of(...good, 0xff))).toThrow("cannot decode")
  })
})

describe("a mixed fingerprint", () => {
  const base = { count: 3, w0: 1, w1: 2, w2: 3, w3: 4 }

  test("depends on every lane, the count and the salt", () => {
    const mixed = new Set([
      mixFingerprint(base, 9),
      mixFingerprint({ ...base, count: 4 }, 9),
      mixFingerprint({ ...base, w0: 2 }, 9),
      mixFingerprint({ ...base, w1: 3 }, 9),
      mixFingerprint({ ...base, w2: 4 }, 9),
      mixFingerprint({ ...base, w3: 5 }, 9),
      mixFingerprint(base, 10),
    ])
    expect(mixed.size).toBe(7)
  })

  test("hides a difference under one salt only", () => {
    // Two fingerprints that collide under one salt, found by search.
    const seen = new Map<number, number>()
    let pair: readonly [number, number] | null = null
    for (let lane = 0; pair === null && lane < 400_000; lane++) {
      const mixed = mixFingerprint(
        { ...createFingerprint(), w0: lane, w3: Math.imul(lane, 0x9e37_79b1) >>> 0 },
        1,
      )
      const other = seen.get(mixed)
      if (other !== undefined) pair = [other, lane]
      seen.set(mixed, lane)
    }
    expect(pair).not.toBeNull()
    const of = (lane: number, salt: number): number =>
      mixFingerprint({ ...createFingerprint(), w0: lane, w3: Math.imul(lane, 0x9e37_79b1) >>> 0 }, salt)
    const [a, b] = pair ?? [0, 0]
    expect(of(a, 1)).toBe(of(b, 1))
    expect([2, 3, 4].every((salt) => of(a, salt) === of(b, salt))).toBe(false)
  })
})
