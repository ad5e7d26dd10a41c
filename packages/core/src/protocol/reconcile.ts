import { ByteReader } from "./byte-reader.ts"
import {
  createFingerprint,
  type Fingerprint,
  type FingerprintIndex,
  MAX_NODE_DEPTH,
} from "./fingerprint-index.ts"
import {
  decodeRangeRecord,
  encodeRangeRecord,
  itemDigestOf,
  MAX_RECORD_ITEMS,
  type RangeItem,
  type RangeRecord,
  type SplitRecord,
  suffixOf,
} from "./range-record.ts"

/** Callbacks for what a comparison finds, called while it goes through the records. */
export interface RangeFindings {
  /** Encoded record for the other side. */
  reply(record: Uint8Array): void
  /** The other side has nothing under this prefix. */
  lacksNode(depth: number, prefix: number): void
  /** The other side lacks this entry. */
  lacksEntry(position: Uint8Array): void
  /** Both sides hold this entry with unequal digests; `theirs` is the first six bytes as a number. */
  differs(position: Uint8Array, theirs: number): void
}

/** A node of up to this many entries is listed rather than split: cheaper than another round trip. */
const LISTED_ENTRIES = 10
/** A node of more entries is never compared one by one, whatever a peer asks: it is split instead. */
const COMPARED_ENTRIES = 64
/** Above this the opening record names 256 children at once and saves a round trip. */
const WIDE_OPENING_ENTRIES = 2_000

/** The most bytes of reply that a record can cause: for a split, a list or a split of each child; for a list, 1,024 suffixes. */
export function replyBound(record: RangeRecord): number {
  return record.type === "split" && record.levels === 2 ? 29_696 : 5_632
}

/** The first record of a reconciliation: the children of the root. */
export function openingRecord(index: FingerprintIndex, salt: number): Uint8Array<ArrayBuffer> {
  return encodeRangeRecord(splitOf(index, salt, 0, 0, index.count > WIDE_OPENING_ENTRIES ? 2 : 1))
}

/**
 * Compares one record from the other side with the index as it is now. Needs no state between records: a change made
 * between two of them costs one more mismatch.
 */
export function compareRecord(
  index: FingerprintIndex,
  salt: number,
  record: RangeRecord,
  findings: RangeFindings,
  mayReceive: boolean,
): void {
  switch (record.type) {
    case "split":
      compareSplit(index, salt, record, findings, mayReceive)
      return
    case "items":
      if (splitLarge(index, salt, record, findings)) return
      compareItems(index, record, findings, mayReceive)
      return
    case "all":
      findings.lacksNode(record.depth, record.prefix)
      return
    case "need": {
      if (splitLarge(index, salt, record, findings)) return
      const wanted = new Set(record.suffixes)
      index.forEachIn(record.depth, record.prefix, (position) => {
        if (wanted.has(suffixOf(position))) findings.lacksEntry(position.slice())
      })
      return
    }
  }
}

/** All records of a frame, decoded before the first is compared. Throws `DecodeError`. */
export function decodeRangeRecords(bytes: Uint8Array): readonly RangeRecord[] {
  const read = new ByteReader(bytes)
  const records: RangeRecord[] = []
  while (read.remaining > 0) records.push(decodeRangeRecord(read))
  return records
}

/**
 * 32 bits over the sum, the count and a salt of this run. Short on purpose: a collision hides a difference only until
 * the full roots are compared, and the rerun has another salt.
 */
export function mixFingerprint({ count, w0, w1, w2, w3 }: Fingerprint, salt: number): number {
  let hash = Math.imul(salt ^ count, 0x9e37_79b1)
  hash = absorb(hash, w0)
  hash = absorb(hash, w1)
  hash = absorb(hash, w2)
  hash = absorb(hash, w3)
  hash = absorb(hash, count)
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85eb_ca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function absorb(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ Math.imul(word, 0xcc9e_2d51), 0x1b87_3593)
  return (((mixed << 13) | (mixed >>> 19)) + 0xe654_6b64) | 0
}

/**
 * Splits the node if many entries are held here where the other side lists or requests a few. What the other side lacks
 * is then found as whole subtrees, without going through their entries.
 */
function splitLarge(
  index: FingerprintIndex,
  salt: number,
  { depth, prefix }: RangeRecord,
  findings: RangeFindings,
): boolean {
  if (depth === MAX_NODE_DEPTH || index.node(depth, prefix, createFingerprint()).count <= COMPARED_ENTRIES) {
    return false
  }
  findings.reply(encodeRangeRecord(splitOf(index, salt, depth, prefix, 1)))
  return true
}

function compareSplit(
  index: FingerprintIndex,
  salt: number,
  record: SplitRecord,
  findings: RangeFindings,
  mayReceive: boolean,
): void {
  const depth = record.depth + record.levels
  const width = 16 ** record.levels
  const mine = createFingerprint()
  for (let child = 0; child < width; child++) {
    const prefix = record.prefix * width + child
    const theirs = record.children[child] ?? null
    index.node(depth, prefix, mine)
    if (theirs === null) {
      if (mine.count > 0) findings.lacksNode(depth, prefix)
    } else if (mine.count === 0) {
      if (mayReceive) findings.reply(encodeRangeRecord({ type: "all", depth, prefix }))
    } else if (mixFingerprint(mine, salt) !== theirs) {
      findings.reply(encodeRangeRecord(describe(index, salt, depth, prefix, mine.count)))
    }
  }
}

function compareItems(
  index: FingerprintIndex,
  record: RangeRecord & { readonly type: "items" },
  findings: RangeFindings,
  mayReceive: boolean,
): void {
  const theirs = new Map(record.items.map((item) => [item.suffix, item.digest]))
  index.forEachIn(record.depth, record.prefix, (position, digest) => {
    const suffix = suffixOf(position)
    const their = theirs.get(suffix)
    if (their === undefined) {
      findings.lacksEntry(position.slice())
      return
    }
    theirs.delete(suffix)
    if (their !== itemDigestOf(digest)) findings.differs(position.slice(), their)
  })
  if (!mayReceive || theirs.size === 0) return
  const { depth, prefix } = record
  findings.reply(encodeRangeRecord({ type: "need", depth, prefix, suffixes: [...theirs.keys()] }))
}

function describe(
  index: FingerprintIndex,
  salt: number,
  depth: number,
  prefix: number,
  count: number,
): RangeRecord {
  if (count > LISTED_ENTRIES && depth < MAX_NODE_DEPTH) return splitOf(index, salt, depth, prefix, 1)
  const items: RangeItem[] = []
  index.forEachIn(depth, prefix, (position, digest) => {
    // More entries than this share 32 bits only by malice; what is left out shows in the roots.
    if (items.length < MAX_RECORD_ITEMS) {
      items.push({ suffix: suffixOf(position), digest: itemDigestOf(digest) })
    }
  })
  return { type: "items", depth, prefix, items }
}

function splitOf(
  index: FingerprintIndex,
  salt: number,
  depth: number,
  prefix: number,
  levels: 1 | 2,
): SplitRecord {
  const width = 16 ** levels
  const children: (number | null)[] = []
  const node = createFingerprint()
  for (let child = 0; child < width; child++) {
    index.node(depth + levels, prefix * width + child, node)
    children.push(node.count === 0 ? null : mixFingerprint(node, salt))
  }
  return { type: "split", depth, prefix, levels, children }
}
