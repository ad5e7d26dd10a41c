/** What is under one node: how many entries, and the sum of their digests as four big-endian 32-bit lanes. */
export interface Fingerprint {
  count: number
  w0: number
  w1: number
  w2: number
  w3: number
}

export function createFingerprint(): Fingerprint {
  return { count: 0, w0: 0, w1: 0, w2: 0, w3: 0 }
}

export function addLanes(sums: Uint32Array, at: number, from: Uint32Array, fromAt: number): void {
  for (let lane = 0; lane < 4; lane++) {
    sums[at + lane] = (sums[at + lane] as number) + (from[fromAt + lane] as number)
  }
}

export function addEntry(into: Fingerprint, words: Uint32Array, at: number): void {
  into.count++
  into.w0 = (into.w0 + (words[at + 4] as number)) >>> 0
  into.w1 = (into.w1 + (words[at + 5] as number)) >>> 0
  into.w2 = (into.w2 + (words[at + 6] as number)) >>> 0
  into.w3 = (into.w3 + (words[at + 7] as number)) >>> 0
}

export function reset(into: Fingerprint): void {
  into.count = 0
  into.w0 = 0
  into.w1 = 0
  into.w2 = 0
  into.w3 = 0
}

export function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

export function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word >>> 24
  bytes[at + 1] = word >>> 16
  bytes[at + 2] = word >>> 8
  bytes[at + 3] = word
}

export function writeWords(bytes: Uint8Array, words: Uint32Array, at: number): void {
  for (let word = 0; word < 4; word++) writeWord(bytes, word * 4, words[at + word] as number)
}
