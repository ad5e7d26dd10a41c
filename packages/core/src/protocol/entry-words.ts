/** An entry of the fingerprint index takes eight 32-bit words: four of position, four of digest. */
export const ENTRY_WORDS = 8

/** Entries packed for bulk work: 32 bytes and a reference each, without objects. */
export interface EntryPack {
  readonly count: number
  /** `ENTRY_WORDS` for each entry; anything after the last entry means nothing. */
  readonly words: Uint32Array
  readonly keys: readonly string[]
  /** Position and digest have 16 bytes each. */
  add(position: Uint8Array, digest: Uint8Array, key: string): void
  addWords(words: Uint32Array, at: number, key: string): void
}

export function createEntryPack(expected = 256): EntryPack {
  let words = new Uint32Array(expected * ENTRY_WORDS)
  const keys: string[] = []
  const reserve = (): number => {
    const at = keys.length * ENTRY_WORDS
    if (at === words.length) {
      const wider = new Uint32Array(Math.max(256, keys.length * 2) * ENTRY_WORDS)
      wider.set(words)
      words = wider
    }
    return at
  }
  return {
    get count() {
      return keys.length
    },
    get words() {
      return words
    },
    keys,
    add(position, digest, key) {
      assertEntryBytes(position, digest)
      const at = reserve()
      readWords(position, words, at)
      readWords(digest, words, at + 4)
      keys.push(key)
    },
    addWords(from, fromAt, key) {
      const at = reserve()
      copyEntry(words, at, from, fromAt)
      keys.push(key)
    },
  }
}

export function assertEntryBytes(position: Uint8Array, digest: Uint8Array): void {
  if (position.length !== 16 || digest.length !== 16) {
    throw new RangeError("a position and a digest have 16 bytes each")
  }
}

// Written out without loops: these run for every entry of every index.

export function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** Sixteen bytes into four words. */
export function readWords(bytes: Uint8Array, words: Uint32Array, at: number): void {
  words[at] = wordAt(bytes, 0)
  words[at + 1] = wordAt(bytes, 4)
  words[at + 2] = wordAt(bytes, 8)
  words[at + 3] = wordAt(bytes, 12)
}

/** Four words into sixteen bytes. */
export function writeWords(bytes: Uint8Array, words: Uint32Array, at: number): void {
  for (let index = 0; index < 16; index += 4) {
    const word = words[at + (index >>> 2)] as number
    bytes[index] = word >>> 24
    bytes[index + 1] = word >>> 16
    bytes[index + 2] = word >>> 8
    bytes[index + 3] = word
  }
}

export function copyEntry(to: Uint32Array, toAt: number, from: Uint32Array, fromAt: number): void {
  to[toAt] = from[fromAt] as number
  to[toAt + 1] = from[fromAt + 1] as number
  to[toAt + 2] = from[fromAt + 2] as number
  to[toAt + 3] = from[fromAt + 3] as number
  to[toAt + 4] = from[fromAt + 4] as number
  to[toAt + 5] = from[fromAt + 5] as number
  to[toAt + 6] = from[fromAt + 6] as number
  to[toAt + 7] = from[fromAt + 7] as number
}
