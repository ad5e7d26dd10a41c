import { copyEntry, createEntryPack, ENTRY_WORDS, type EntryPack } from "./entry-words.ts"

/** Capacities are multiples of this many slots, so that a bucket that moves leaves a gap that another can use. */
const SLOT_STEP = 4

/**
 * Unsorted buckets of entries by the leading bits of their positions, in one slab of words. Each bucket has a fixed
 * capacity of slots; one that outgrows it moves to a wider place in the slab.
 */
export class BucketSlab {
  /** Leading bits that name a bucket. */
  bits = 0
  /** Entries in each bucket. */
  counts: Uint32Array = new Uint32Array(1)
  /** First slot of each bucket. */
  starts: Uint32Array = new Uint32Array(1)
  words: Uint32Array = new Uint32Array(0)
  /** By slot; empty where a slot is free. */
  keys: string[] = []
  /** Slots reserved for each bucket. */
  #capacities = new Uint32Array(1)
  /** First slot after all that are reserved. */
  #tail = 0
  #gapsByCapacity = new Map<number, number[]>()

  bucketOf(firstWord: number): number {
    // JavaScript would shift by 0 instead of 32.
    return this.bits === 0 ? 0 : firstWord >>> (32 - this.bits)
  }

  /** Slot of the position, or -1. */
  locate(bucket: number, p0: number, p1: number, p2: number, p3: number): number {
    const words = this.words
    const start = this.starts[bucket] as number
    const end = start + (this.counts[bucket] as number)
    for (let slot = start, at = start * ENTRY_WORDS; slot < end; slot++, at += ENTRY_WORDS) {
      if (words[at] === p0 && words[at + 1] === p1 && words[at + 2] === p2 && words[at + 3] === p3) {
        return slot
      }
    }
    return -1
  }

  /** Adds an entry whose position is not held. */
  append(bucket: number, entry: Uint32Array, key: string): void {
    const used = this.counts[bucket] as number
    if (used === this.#capacities[bucket]) this.#move(bucket, used)
    const slot = (this.starts[bucket] as number) + used
    copyEntry(this.words, slot * ENTRY_WORDS, entry, 0)
    this.keys[slot] = key
    this.counts[bucket] = used + 1
  }

  /** Fills the slot with the last entry of its bucket. */
  removeAt(bucket: number, slot: number): void {
    const used = (this.counts[bucket] as number) - 1
    const last = (this.starts[bucket] as number) + used
    copyEntry(this.words, slot * ENTRY_WORDS, this.words, last * ENTRY_WORDS)
    this.keys[slot] = this.keys[last] as string
    this.keys[last] = ""
    this.counts[bucket] = used
  }

  /** Halves every bucket. */
  split(): void {
    const pack = createEntryPack()
    for (let bucket = 0; bucket < this.starts.length; bucket++) {
      const start = this.starts[bucket] as number
      const end = start + (this.counts[bucket] as number)
      for (let slot = start; slot < end; slot++) {
        pack.addWords(this.words, slot * ENTRY_WORDS, this.keys[slot] as string)
      }
    }
    this.#layOut(pack, this.bits + 1)
  }

  /** Replaces everything. If several entries have the same position, the last stays. */
  build(pack: EntryPack, bits: number): void {
    this.#layOut(pack, bits)
    for (let bucket = 0; bucket < this.starts.length; bucket++) this.#dropRepeated(bucket)
  }

  /** Scatters the entries over the buckets, each in the order of the pack. */
  #layOut(pack: EntryPack, bits: number): void {
    this.bits = bits
    const from = pack.words
    const counts = new Uint32Array(2 ** bits)
    for (let index = 0; index < pack.count; index++) {
      const bucket = this.bucketOf(from[index * ENTRY_WORDS] as number)
      counts[bucket] = (counts[bucket] as number) + 1
    }
    this.#reserveAll(counts)
    counts.fill(0)
    for (let index = 0; index < pack.count; index++) {
      const at = index * ENTRY_WORDS
      const bucket = this.bucketOf(from[at] as number)
      const used = counts[bucket] as number
      counts[bucket] = used + 1
      const slot = (this.starts[bucket] as number) + used
      copyEntry(this.words, slot * ENTRY_WORDS, from, at)
      this.keys[slot] = pack.keys[index] as string
    }
    this.counts = counts
  }

  #reserveAll(counts: Uint32Array): void {
    this.starts = new Uint32Array(counts.length)
    this.#capacities = new Uint32Array(counts.length)
    this.#gapsByCapacity = new Map()
    this.#tail = 0
    for (let bucket = 0; bucket < counts.length; bucket++) {
      const capacity = capacityFor(counts[bucket] as number)
      this.starts[bucket] = this.#tail
      this.#capacities[bucket] = capacity
      this.#tail += capacity
    }
    this.words = new Uint32Array(this.#tail * ENTRY_WORDS)
    this.keys = Array.from<string>({ length: this.#tail }).fill("")
  }

  #dropRepeated(bucket: number): void {
    const words = this.words
    const start = this.starts[bucket] as number
    const used = this.counts[bucket] as number
    let kept = 0
    for (let slot = start; slot < start + used; slot++) {
      const at = slot * ENTRY_WORDS
      this.counts[bucket] = kept
      const held = this.locate(
        bucket,
        words[at] as number,
        words[at + 1] as number,
        words[at + 2] as number,
        words[at + 3] as number,
      )
      const target = held >= 0 ? held : start + kept++
      if (target === slot) continue
      copyEntry(words, target * ENTRY_WORDS, words, at)
      this.keys[target] = this.keys[slot] as string
      this.keys[slot] = ""
    }
    this.counts[bucket] = kept
  }

  #move(bucket: number, used: number): void {
    const capacity = this.#capacities[bucket] as number
    const from = this.starts[bucket] as number
    const wider = capacityFor(used)
    const start = this.#reserve(wider)
    this.words.copyWithin(start * ENTRY_WORDS, from * ENTRY_WORDS, (from + used) * ENTRY_WORDS)
    for (let slot = 0; slot < used; slot++) {
      this.keys[start + slot] = this.keys[from + slot] as string
      this.keys[from + slot] = ""
    }
    this.starts[bucket] = start
    this.#capacities[bucket] = wider
    if (capacity === 0) return
    const gaps = this.#gapsByCapacity.get(capacity)
    if (gaps === undefined) this.#gapsByCapacity.set(capacity, [from])
    else gaps.push(from)
  }

  #reserve(capacity: number): number {
    const gap = this.#gapsByCapacity.get(capacity)?.pop()
    if (gap !== undefined) return gap
    const start = this.#tail
    this.#tail += capacity
    if (this.#tail > this.keys.length) {
      const slots = this.#tail + (this.#tail >>> 2) + 64
      const wider = new Uint32Array(slots * ENTRY_WORDS)
      wider.set(this.words)
      this.words = wider
      for (let slot = this.keys.length; slot < slots; slot++) this.keys.push("")
    }
    return start
  }
}

function capacityFor(entries: number): number {
  return Math.ceil((entries + 2) / SLOT_STEP) * SLOT_STEP
}
