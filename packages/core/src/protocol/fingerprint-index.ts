import { BucketSlab } from "./bucket-slab.ts"
import {
  assertEntryBytes,
  createEntryPack,
  ENTRY_WORDS,
  type EntryPack,
  readWords,
  wordAt,
  writeWords,
} from "./entry-words.ts"

/** What is under one node: how many entries, and the sum of their digests as four 32-bit lanes, highest first. */
export interface Fingerprint {
  count: number
  w0: number
  w1: number
  w2: number
  w3: number
}

/**
 * Called for each entry under a prefix. Both arrays are reused for the next entry, so copy what you keep. The visitor
 * must not change the index.
 */
export type EntryVisitor = (position: Uint8Array, digest: Uint8Array, key: string) => void

/**
 * Maps `position → (digest, key)` and keeps the fingerprint of every subtree of positions.
 *
 * A node is named by `depth`, the number of leading nibbles (0–8), and `prefix`, these nibbles as an unsigned number;
 * depth 0 has prefix 0. There are no nodes below depth 8: a caller that walks down lists the entries there.
 */
export interface FingerprintIndex {
  readonly count: number
  /** The sum of all digests: 16 bytes, lanes big-endian. All zero for an empty index. */
  root(): Uint8Array<ArrayBuffer>
  get(position: Uint8Array): { readonly digest: Uint8Array<ArrayBuffer>; readonly key: string } | null
  /** Inserts, or replaces digest and key. */
  set(position: Uint8Array, digest: Uint8Array, key: string): void
  delete(position: Uint8Array): boolean
  /** Replaces the whole content. If several entries have the same position, the last wins. */
  build(entries: EntryPack): void
  clear(): void
  /** Writes the fingerprint of a node into `into` and returns it. */
  node(depth: number, prefix: number, into: Fingerprint): Fingerprint
  forEachIn(depth: number, prefix: number, visit: EntryVisitor): void
}

/** The deepest nodes: eight nibbles fill a 32-bit word and name many more nodes than any real replica has entries. */
export const MAX_NODE_DEPTH = 8

/** `build` aims at 8–16 entries per bucket; above an average of 32, every bucket is split in two. */
const BUILT_BUCKET = 16
const FULL_BUCKET = 32
const MAX_BITS = 24

/** One row of aggregate nodes: all prefixes of `bits` bits. */
interface Level {
  readonly bits: number
  readonly sums: Uint32Array
  readonly counts: Uint32Array
}

export function createFingerprint(): Fingerprint {
  return { count: 0, w0: 0, w1: 0, w2: 0, w3: 0 }
}

/**
 * Positions are keyed hashes and therefore spread evenly, so buckets chosen by leading bits need no balancing. An
 * insert touches one bucket and the few aggregate nodes above it, one for each nibble.
 *
 * Fingerprints add digests in four 32-bit lanes, each mod 2^32. Like the integers mod 2^128 this is a group of 2^128
 * elements, but it needs no carries. XOR would not do, because linear algebra finds colliding sets in milliseconds. A
 * generalised birthday attack finds two sets of 128 entries with equal sums in some ten million hashes. Digests are keyed
 * by the room, so only members can; THREAT_MODEL.md says what they gain.
 */
export function createFingerprintIndex(): FingerprintIndex {
  const slab = new BucketSlab()
  let levels: Level[] = createLevels(0)
  let count = 0

  const entry = new Uint32Array(ENTRY_WORDS)
  const scratchPosition = new Uint8Array(16)
  const scratchDigest = new Uint8Array(16)

  const locate = (position: Uint8Array): number => {
    const p0 = wordAt(position, 0)
    return slab.locate(slab.bucketOf(p0), p0, wordAt(position, 4), wordAt(position, 8), wordAt(position, 12))
  }

  /** Typed arrays store values mod 2^32, so deltas may be negative. */
  const addToLevels = (p0: number, d0: number, d1: number, d2: number, d3: number, entries: number): void => {
    for (let index = 0; index < levels.length; index++) {
      const { bits, sums, counts } = levels[index] as Level
      const node = bits === 0 ? 0 : p0 >>> (32 - bits)
      const at = node * 4
      sums[at] = (sums[at] as number) + d0
      sums[at + 1] = (sums[at + 1] as number) + d1
      sums[at + 2] = (sums[at + 2] as number) + d2
      sums[at + 3] = (sums[at + 3] as number) + d3
      counts[node] = (counts[node] as number) + entries
    }
    count += entries
  }

  /** Fills every level from the buckets. */
  const sumUp = (): void => {
    levels = createLevels(slab.bits)
    const leaves = levels[levels.length - 1] as Level
    leaves.counts.set(slab.counts)
    for (let bucket = 0; bucket < slab.starts.length; bucket++) {
      const from = (slab.starts[bucket] as number) * ENTRY_WORDS
      const to = from + (slab.counts[bucket] as number) * ENTRY_WORDS
      for (let at = from; at < to; at += ENTRY_WORDS) addLanes(leaves.sums, bucket * 4, slab.words, at + 4)
    }
    for (let index = levels.length - 2; index >= 0; index--) {
      const upper = levels[index] as Level
      const lower = levels[index + 1] as Level
      const shift = lower.bits - upper.bits
      for (let node = 0; node < lower.counts.length; node++) {
        const parent = node >>> shift
        addLanes(upper.sums, parent * 4, lower.sums, node * 4)
        upper.counts[parent] = (upper.counts[parent] as number) + (lower.counts[node] as number)
      }
    }
    count = (levels[0] as Level).counts[0] as number
  }

  /** Buckets that may hold entries under the prefix: one, or a run when the prefix is shorter than the buckets' bits. */
  const bucketsUnder = (depth: number, prefix: number): readonly [first: number, last: number] => {
    const width = 2 ** (slab.bits - depth * 4)
    return width <= 1
      ? [Math.floor(prefix * width), Math.floor(prefix * width)]
      : [prefix * width, (prefix + 1) * width - 1]
  }

  const set = (position: Uint8Array, digest: Uint8Array, key: string): void => {
    assertEntryBytes(position, digest)
    readWords(position, entry, 0)
    readWords(digest, entry, 4)
    const p0 = entry[0] as number
    const held = locate(position)
    if (held < 0) {
      if (count >= FULL_BUCKET * 2 ** slab.bits && slab.bits < MAX_BITS) {
        slab.split()
        sumUp()
      }
      slab.append(slab.bucketOf(p0), entry, key)
      addToLevels(p0, entry[4] as number, entry[5] as number, entry[6] as number, entry[7] as number, 1)
      return
    }
    const words = slab.words
    const at = held * ENTRY_WORDS + 4
    addToLevels(
      p0,
      (entry[4] as number) - (words[at] as number),
      (entry[5] as number) - (words[at + 1] as number),
      (entry[6] as number) - (words[at + 2] as number),
      (entry[7] as number) - (words[at + 3] as number),
      0,
    )
    readWords(digest, words, at)
    slab.keys[held] = key
  }

  const remove = (position: Uint8Array): boolean => {
    assertEntryBytes(position, position)
    const held = locate(position)
    if (held < 0) return false
    const words = slab.words
    const at = held * ENTRY_WORDS
    const p0 = words[at] as number
    addToLevels(
      p0,
      -(words[at + 4] as number),
      -(words[at + 5] as number),
      -(words[at + 6] as number),
      -(words[at + 7] as number),
      -1,
    )
    slab.removeAt(slab.bucketOf(p0), held)
    return true
  }

  const build = (pack: EntryPack): void => {
    let bits = 0
    while (pack.count >>> bits > BUILT_BUCKET && bits < MAX_BITS) bits++
    slab.build(pack, bits)
    sumUp()
  }

  const node = (depth: number, prefix: number, into: Fingerprint): Fingerprint => {
    assertNode(depth, prefix)
    if (depth * 4 <= slab.bits) {
      const { sums, counts } = levels[depth] as Level
      const at = prefix * 4
      into.count = counts[prefix] as number
      into.w0 = sums[at] as number
      into.w1 = sums[at + 1] as number
      into.w2 = sums[at + 2] as number
      into.w3 = sums[at + 3] as number
      return into
    }
    reset(into)
    const { words, starts, counts } = slab
    const [bucket] = bucketsUnder(depth, prefix)
    const shift = 32 - depth * 4
    const from = (starts[bucket] as number) * ENTRY_WORDS
    const to = from + (counts[bucket] as number) * ENTRY_WORDS
    for (let at = from; at < to; at += ENTRY_WORDS) {
      if ((words[at] as number) >>> shift === prefix) addEntry(into, words, at + 4)
    }
    return into
  }

  const forEachIn = (depth: number, prefix: number, visit: EntryVisitor): void => {
    assertNode(depth, prefix)
    const { words, starts, counts, keys } = slab
    const [first, last] = bucketsUnder(depth, prefix)
    const shift = 32 - depth * 4
    for (let bucket = first; bucket <= last; bucket++) {
      const start = starts[bucket] as number
      const end = start + (counts[bucket] as number)
      for (let slot = start; slot < end; slot++) {
        const at = slot * ENTRY_WORDS
        if (depth > 0 && (words[at] as number) >>> shift !== prefix) continue
        writeWords(scratchPosition, words, at)
        writeWords(scratchDigest, words, at + 4)
        visit(scratchPosition, scratchDigest, keys[slot] as string)
      }
    }
  }

  return {
    get count() {
      return count
    },
    root() {
      const root = new Uint8Array(16)
      writeWords(root, (levels[0] as Level).sums, 0)
      return root
    },
    get(position) {
      assertEntryBytes(position, position)
      const held = locate(position)
      if (held < 0) return null
      const digest = new Uint8Array(16)
      writeWords(digest, slab.words, held * ENTRY_WORDS + 4)
      return { digest, key: slab.keys[held] as string }
    },
    set,
    delete: remove,
    build,
    clear: () => build(createEntryPack(0)),
    node,
    forEachIn,
  }
}

/** A level for every whole nibble and one for the buckets themselves, the root first. */
function createLevels(bits: number): Level[] {
  const levels: Level[] = []
  const add = (levelBits: number): void => {
    const nodes = 2 ** levelBits
    levels.push({ bits: levelBits, sums: new Uint32Array(nodes * 4), counts: new Uint32Array(nodes) })
  }
  for (let levelBits = 0; levelBits < bits; levelBits += 4) add(levelBits)
  add(bits)
  return levels
}

function addLanes(sums: Uint32Array, at: number, from: Uint32Array, fromAt: number): void {
  sums[at] = (sums[at] as number) + (from[fromAt] as number)
  sums[at + 1] = (sums[at + 1] as number) + (from[fromAt + 1] as number)
  sums[at + 2] = (sums[at + 2] as number) + (from[fromAt + 2] as number)
  sums[at + 3] = (sums[at + 3] as number) + (from[fromAt + 3] as number)
}

function addEntry(into: Fingerprint, words: Uint32Array, at: number): void {
  into.count++
  into.w0 = (into.w0 + (words[at] as number)) >>> 0
  into.w1 = (into.w1 + (words[at + 1] as number)) >>> 0
  into.w2 = (into.w2 + (words[at + 2] as number)) >>> 0
  into.w3 = (into.w3 + (words[at + 3] as number)) >>> 0
}

function reset(into: Fingerprint): void {
  into.count = 0
  into.w0 = 0
  into.w1 = 0
  into.w2 = 0
  into.w3 = 0
}

function assertNode(depth: number, prefix: number): void {
  if (depth < 0 || depth > MAX_NODE_DEPTH || prefix < 0 || prefix >= 16 ** depth) {
    throw new RangeError(`no node at depth ${depth}, prefix ${prefix}`)
  }
}
