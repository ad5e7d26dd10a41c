import { addEntry, addLanes, type Fingerprint, reset, wordAt, writeWord, writeWords } from "./digest-lanes.ts"

export { createFingerprint, type Fingerprint } from "./digest-lanes.ts"

/** Position, digest and key of an entry, as `build` takes them. */
export interface IndexEntry {
  /** 16 bytes. */
  readonly position: Uint8Array
  /** 16 bytes. */
  readonly digest: Uint8Array
  readonly key: string
}

/**
 * Called for each entry under a prefix. Both arrays are reused for the next entry: copy what is kept. The index
 * must not be changed from inside.
 */
export type EntryVisitor = (position: Uint8Array, digest: Uint8Array, key: string) => void

/**
 * `position → (digest, key)` with the fingerprint of every subtree of positions at hand.
 *
 * A node is named by `depth`, the number of leading nibbles (0–8), and `prefix`, these nibbles as an unsigned number;
 * depth 0 has prefix 0. Below depth 8 there are no nodes: whoever walks down lists the entries there.
 */
export interface FingerprintIndex {
  readonly count: number
  /** The sum of all digests: 16 bytes, lanes big-endian. All zero for an empty index. */
  root(): Uint8Array<ArrayBuffer>
  get(position: Uint8Array): { readonly digest: Uint8Array<ArrayBuffer>; readonly key: string } | null
  /** Whether exactly this digest is at the position; `get` without its copies. */
  holds(position: Uint8Array, digest: Uint8Array): boolean
  /** Inserts, or replaces digest and key. */
  set(position: Uint8Array, digest: Uint8Array, key: string): void
  delete(position: Uint8Array): boolean
  /** Replaces the whole content. Of entries at one position the last wins. */
  build(entries: Iterable<IndexEntry>): void
  clear(): void
  /** Writes the fingerprint of a node into `into` and returns it. */
  node(depth: number, prefix: number, into: Fingerprint): Fingerprint
  /** Writes the fingerprints of the 16 children of a node (depth ≤ 7) into the first 16 of `into`. */
  children(depth: number, prefix: number, into: readonly Fingerprint[]): void
  forEachIn(depth: number, prefix: number, visit: EntryVisitor): void
}

/** Deepest node: eight nibbles are one 32-bit word, and 2^32 times the entries of any real replica. */
export const MAX_NODE_DEPTH = 8

/** An entry takes eight words: four of position, four of digest. */
const WORDS = 8
/** A rebuild aims at 8–16 entries a bucket; past twice that the buckets are halved. */
const BUILT_BUCKET = 16
const FULL_BUCKET = 32
const MAX_BITS = 24
/** Rooms for buckets come in steps of this many slots, so that one that moved leaves a gap another can use. */
const SLOT_STEP = 4

/** One row of aggregate nodes: all prefixes of `bits` bits. */
interface Level {
  readonly bits: number
  readonly sums: Uint32Array
  readonly counts: Uint32Array
}

/**
 * Positions are keyed hashes and so spread evenly: a bucket per leading bits needs no balancing, and an insert
 * touches one bucket and six aggregate nodes. Buckets are unsorted rooms in one slab of words, a level of sums
 * lies over every nibble.
 *
 * Fingerprints add digests in four 32-bit lanes, each mod 2^32. That is a group of 2^128 elements like integers mod
 * 2^128, costs no carries, and resists the same attacks: finding two sets of equal sum is a lattice problem in
 * either. XOR would not do: there linear algebra finds colliding sets in milliseconds. Digests are keyed by the room,
 * so only members could try.
 */
export function createFingerprintIndex(): FingerprintIndex {
  let bits = 0
  let levels: Level[] = createLevels(0)
  /** Per bucket: first slot and number of slots of its room. Entries in use are counted by the last level. */
  let starts = new Uint32Array(1)
  let rooms = new Uint32Array(1)
  let words = new Uint32Array(0)
  let keys: string[] = []
  /** First slot behind the rooms handed out. */
  let tail = 0
  let gapsByRoom = new Map<number, number[]>()
  let count = 0

  const scratchPosition = new Uint8Array(16)
  const scratchDigest = new Uint8Array(16)

  const bucketOf = (word: number): number => (bits === 0 ? 0 : word >>> (32 - bits))
  const bucketCounts = (): Uint32Array => (levels[levels.length - 1] as Level).counts

  /** Slot of the position in the bucket, or -1. */
  const locate = (bucket: number, p0: number, p1: number, p2: number, p3: number): number => {
    const start = starts[bucket] as number
    const end = start + (bucketCounts()[bucket] as number)
    for (let slot = start, at = start * WORDS; slot < end; slot++, at += WORDS) {
      if (words[at] === p0 && words[at + 1] === p1 && words[at + 2] === p2 && words[at + 3] === p3)
        return slot
    }
    return -1
  }

  /** Typed arrays wrap what is stored mod 2^32, so deltas may be negative. */
  const addToLevels = (p0: number, d0: number, d1: number, d2: number, d3: number, entries: number): void => {
    for (const level of levels) {
      const node = level.bits === 0 ? 0 : p0 >>> (32 - level.bits)
      const at = node * 4
      const sums = level.sums
      sums[at] = (sums[at] as number) + d0
      sums[at + 1] = (sums[at + 1] as number) + d1
      sums[at + 2] = (sums[at + 2] as number) + d2
      sums[at + 3] = (sums[at + 3] as number) + d3
      level.counts[node] = (level.counts[node] as number) + entries
    }
    count += entries
  }

  const release = (start: number, room: number): void => {
    const gaps = gapsByRoom.get(room)
    if (gaps === undefined) gapsByRoom.set(room, [start])
    else gaps.push(start)
  }

  /** First slot of a free room, or -1 when the slab is used up. */
  const reserve = (room: number): number => {
    const gap = gapsByRoom.get(room)?.pop()
    if (gap !== undefined) return gap
    if (tail + room > keys.length) return -1
    const start = tail
    tail += room
    return start
  }

  /** Lays all entries out anew for 2^`nextBits` buckets, with `spareSlots` behind them. */
  const relay = (nextBits: number, spareSlots: number): void => {
    const old = { words, keys, starts, counts: bucketCounts().slice() }
    bits = nextBits
    levels = createLevels(bits)
    const counts = bucketCounts()
    for (let bucket = 0; bucket < old.starts.length; bucket++) {
      const from = (old.starts[bucket] as number) * WORDS
      const to = from + (old.counts[bucket] as number) * WORDS
      for (let at = from; at < to; at += WORDS) {
        const target = bucketOf(old.words[at] as number)
        counts[target] = (counts[target] as number) + 1
      }
    }
    makeRooms(counts, spareSlots)
    counts.fill(0)
    for (let bucket = 0; bucket < old.starts.length; bucket++) {
      const start = old.starts[bucket] as number
      const end = start + (old.counts[bucket] as number)
      for (let slot = start; slot < end; slot++) {
        const from = slot * WORDS
        const target = bucketOf(old.words[from] as number)
        const to = (starts[target] as number) + (counts[target] as number)
        counts[target] = (counts[target] as number) + 1
        for (let word = 0; word < WORDS; word++) words[to * WORDS + word] = old.words[from + word] as number
        keys[to] = old.keys[slot] as string
      }
    }
    sumUp()
  }

  /** Rooms for as many entries a bucket as `counts` says, and a little more. */
  const makeRooms = (counts: Uint32Array, spareSlots: number): void => {
    starts = new Uint32Array(counts.length)
    rooms = new Uint32Array(counts.length)
    gapsByRoom = new Map()
    tail = 0
    for (let bucket = 0; bucket < counts.length; bucket++) {
      const room = roomFor(counts[bucket] as number)
      starts[bucket] = tail
      rooms[bucket] = room
      tail += room
    }
    words = new Uint32Array((tail + spareSlots) * WORDS)
    keys = Array.from<string>({ length: tail + spareSlots }).fill("")
  }

  /** Fills every level from the buckets. */
  const sumUp = (): void => {
    const leaves = levels[levels.length - 1] as Level
    for (let bucket = 0; bucket < starts.length; bucket++) {
      const from = (starts[bucket] as number) * WORDS
      const to = from + (leaves.counts[bucket] as number) * WORDS
      for (let at = from; at < to; at += WORDS) addLanes(leaves.sums, bucket * 4, words, at + 4)
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

  /** Makes sure that the bucket has a free slot. */
  const makeSlot = (bucket: number): void => {
    const used = bucketCounts()[bucket] as number
    const room = rooms[bucket] as number
    if (used < room) return
    const wider = roomFor(used)
    const start = reserve(wider)
    if (start < 0) {
      relay(bits, Math.max(64, tail >>> 2))
      return
    }
    const from = starts[bucket] as number
    words.copyWithin(start * WORDS, from * WORDS, (from + used) * WORDS)
    for (let slot = 0; slot < used; slot++) {
      keys[start + slot] = keys[from + slot] as string
      keys[from + slot] = ""
    }
    if (room > 0) release(from, room)
    starts[bucket] = start
    rooms[bucket] = wider
  }

  const put = (slot: number, position: Uint8Array, digest: Uint8Array, key: string): void => {
    const at = slot * WORDS
    for (let word = 0; word < 4; word++) {
      words[at + word] = wordAt(position, word * 4)
      words[at + 4 + word] = wordAt(digest, word * 4)
    }
    keys[slot] = key
  }

  const set = (position: Uint8Array, digest: Uint8Array, key: string): void => {
    assertLengths(position, digest)
    const p0 = wordAt(position, 0)
    const d0 = wordAt(digest, 0)
    const d1 = wordAt(digest, 4)
    const d2 = wordAt(digest, 8)
    const d3 = wordAt(digest, 12)
    let bucket = bucketOf(p0)
    const slot = locate(bucket, p0, wordAt(position, 4), wordAt(position, 8), wordAt(position, 12))
    if (slot >= 0) {
      const at = slot * WORDS + 4
      const was = words
      addToLevels(
        p0,
        d0 - (was[at] as number),
        d1 - (was[at + 1] as number),
        d2 - (was[at + 2] as number),
        d3 - (was[at + 3] as number),
        0,
      )
      put(slot, position, digest, key)
      return
    }
    if (count >= FULL_BUCKET * 2 ** bits && bits < MAX_BITS) {
      relay(bits + 1, 64 + (count >>> 3))
      bucket = bucketOf(p0)
    }
    makeSlot(bucket)
    put((starts[bucket] as number) + (bucketCounts()[bucket] as number), position, digest, key)
    addToLevels(p0, d0, d1, d2, d3, 1)
  }

  const remove = (position: Uint8Array): boolean => {
    assertLengths(position, position)
    const p0 = wordAt(position, 0)
    const bucket = bucketOf(p0)
    const slot = locate(bucket, p0, wordAt(position, 4), wordAt(position, 8), wordAt(position, 12))
    if (slot < 0) return false
    const at = slot * WORDS + 4
    const w0 = words[at] as number
    const w1 = words[at + 1] as number
    const w2 = words[at + 2] as number
    const w3 = words[at + 3] as number
    const last = (starts[bucket] as number) + (bucketCounts()[bucket] as number) - 1
    words.copyWithin(slot * WORDS, last * WORDS, (last + 1) * WORDS)
    keys[slot] = keys[last] as string
    keys[last] = ""
    addToLevels(p0, -w0, -w1, -w2, -w3, -1)
    return true
  }

  const build = (entries: Iterable<IndexEntry>): void => {
    let packed = new Uint32Array(1024 * WORDS)
    const packedKeys: string[] = []
    for (const { position, digest, key } of entries) {
      assertLengths(position, digest)
      const at = packedKeys.length * WORDS
      if (at === packed.length) packed = grown(packed)
      for (let word = 0; word < 4; word++) {
        packed[at + word] = wordAt(position, word * 4)
        packed[at + 4 + word] = wordAt(digest, word * 4)
      }
      packedKeys.push(key)
    }
    layOut(packed, packedKeys)
  }

  const layOut = (packed: Uint32Array, packedKeys: readonly string[]): void => {
    bits = 0
    while (packedKeys.length >>> bits > BUILT_BUCKET && bits < MAX_BITS) bits++
    levels = createLevels(bits)
    const counts = bucketCounts()
    for (let index = 0; index < packedKeys.length; index++) {
      const bucket = bucketOf(packed[index * WORDS] as number)
      counts[bucket] = (counts[bucket] as number) + 1
    }
    makeRooms(counts, 64)
    counts.fill(0)
    for (let index = 0; index < packedKeys.length; index++) {
      const from = index * WORDS
      const p0 = packed[from] as number
      const bucket = bucketOf(p0)
      const held = locate(
        bucket,
        p0,
        packed[from + 1] as number,
        packed[from + 2] as number,
        packed[from + 3] as number,
      )
      const slot = held >= 0 ? held : (starts[bucket] as number) + (counts[bucket] as number)
      if (held < 0) counts[bucket] = (counts[bucket] as number) + 1
      const to = slot * WORDS
      for (let word = 0; word < WORDS; word++) words[to + word] = packed[from + word] as number
      keys[slot] = packedKeys[index] as string
    }
    sumUp()
  }

  /** Buckets that may hold entries under the prefix: one, or a run when the prefix is shorter than the buckets' bits. */
  const bucketsUnder = (depth: number, prefix: number): readonly [first: number, last: number] => {
    const depthBits = depth * 4
    if (depthBits >= bits) {
      const bucket = Math.floor(prefix / 2 ** (depthBits - bits))
      return [bucket, bucket]
    }
    const width = 2 ** (bits - depthBits)
    return [prefix * width, (prefix + 1) * width - 1]
  }

  return {
    get count() {
      return count
    },
    root() {
      const root = new Uint8Array(16)
      const sums = (levels[0] as Level).sums
      for (let lane = 0; lane < 4; lane++) writeWord(root, lane * 4, sums[lane] as number)
      return root
    },
    get(position) {
      assertLengths(position, position)
      const p0 = wordAt(position, 0)
      const slot = locate(bucketOf(p0), p0, wordAt(position, 4), wordAt(position, 8), wordAt(position, 12))
      if (slot < 0) return null
      const digest = new Uint8Array(16)
      writeWords(digest, words, slot * WORDS + 4)
      return { digest, key: keys[slot] as string }
    },
    holds(position, digest) {
      assertLengths(position, digest)
      const p0 = wordAt(position, 0)
      const slot = locate(bucketOf(p0), p0, wordAt(position, 4), wordAt(position, 8), wordAt(position, 12))
      if (slot < 0) return false
      const at = slot * WORDS + 4
      for (let word = 0; word < 4; word++) {
        if (words[at + word] !== wordAt(digest, word * 4)) return false
      }
      return true
    },
    set,
    delete: remove,
    build,
    clear: () => layOut(new Uint32Array(0), []),
    node(depth, prefix, into) {
      assertNode(depth, prefix)
      if (depth * 4 <= bits) {
        const level = levels[depth] as Level
        const at = prefix * 4
        into.count = level.counts[prefix] as number
        into.w0 = level.sums[at] as number
        into.w1 = level.sums[at + 1] as number
        into.w2 = level.sums[at + 2] as number
        into.w3 = level.sums[at + 3] as number
        return into
      }
      reset(into)
      const [bucket] = bucketsUnder(depth, prefix)
      const shift = 32 - depth * 4
      const from = (starts[bucket] as number) * WORDS
      const to = from + (bucketCounts()[bucket] as number) * WORDS
      for (let at = from; at < to; at += WORDS) {
        if ((words[at] as number) >>> shift === prefix) addEntry(into, words, at)
      }
      return into
    },
    children(depth, prefix, into) {
      assertNode(depth + 1, prefix * 16)
      if ((depth + 1) * 4 <= bits) {
        for (let child = 0; child < 16; child++) {
          this.node(depth + 1, prefix * 16 + child, into[child] as Fingerprint)
        }
        return
      }
      for (let child = 0; child < 16; child++) reset(into[child] as Fingerprint)
      const [first, last] = bucketsUnder(depth, prefix)
      const shift = 28 - depth * 4
      for (let bucket = first; bucket <= last; bucket++) {
        const from = (starts[bucket] as number) * WORDS
        const to = from + (bucketCounts()[bucket] as number) * WORDS
        for (let at = from; at < to; at += WORDS) {
          const path = (words[at] as number) >>> shift
          if (path >>> 4 === prefix) addEntry(into[path & 15] as Fingerprint, words, at)
        }
      }
    },
    forEachIn(depth, prefix, visit) {
      assertNode(depth, prefix)
      const [first, last] = bucketsUnder(depth, prefix)
      const shift = 32 - depth * 4
      for (let bucket = first; bucket <= last; bucket++) {
        const start = starts[bucket] as number
        const end = start + (bucketCounts()[bucket] as number)
        for (let slot = start; slot < end; slot++) {
          const at = slot * WORDS
          if (depth > 0 && (words[at] as number) >>> shift !== prefix) continue
          writeWords(scratchPosition, words, at)
          writeWords(scratchDigest, words, at + 4)
          visit(scratchPosition, scratchDigest, keys[slot] as string)
        }
      }
    },
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

function roomFor(entries: number): number {
  return Math.ceil((entries + 2) / SLOT_STEP) * SLOT_STEP
}

function grown(words: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const wider = new Uint32Array(words.length * 2)
  wider.set(words)
  return wider
}

function assertLengths(position: Uint8Array, digest: Uint8Array): void {
  if (position.length !== 16 || digest.length !== 16) {
    throw new RangeError("a position and a digest have 16 bytes each")
  }
}

function assertNode(depth: number, prefix: number): void {
  if (depth < 0 || depth > MAX_NODE_DEPTH || prefix < 0 || prefix >= 16 ** depth) {
    throw new RangeError(`no node at depth ${depth}, prefix ${prefix}`)
  }
}
