/** Offset of the checksum in a Loro blob. It covers everything behind it; its seed is public, so it stops accidents only. */
export const CHECKSUM_OFFSET = 16
const CHECKED_FROM = 20
const SEED = 0x4f_52_4f_4c

/** Whether a Loro blob is unchanged since it was made. Loro checks that during an import, which takes many times as long. */
export function isIntact(blob: Uint8Array): boolean {
  if (blob.length < CHECKED_FROM) return false
  const kept = new DataView(blob.buffer, blob.byteOffset).getUint32(CHECKSUM_OFFSET, true)
  return kept === checksumOf(blob)
}

export function checksumOf(blob: Uint8Array): number {
  return xxh32(blob.subarray(CHECKED_FROM), SEED)
}

const P1 = 2654435761
const P2 = 2246822519
const P3 = 3266489917
const P4 = 668265263
const P5 = 374761393

function xxh32(input: Uint8Array, seed: number): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  let at = 0
  let hash: number
  if (input.length >= 16) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane | 0)
    for (; at + 16 <= input.length; at += 16) {
      for (let lane = 0; lane < 4; lane++) {
        const word = view.getUint32(at + lane * 4, true)
        lanes[lane] = Math.imul(rotate(((lanes[lane] ?? 0) + Math.imul(word, P2)) | 0, 13), P1)
      }
    }
    const [a = 0, b = 0, c = 0, d = 0] = lanes
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0
  } else {
    hash = (seed + P5) | 0
  }
  hash = (hash + input.length) | 0
  for (; at + 4 <= input.length; at += 4) {
    hash = Math.imul(rotate((hash + Math.imul(view.getUint32(at, true), P3)) | 0, 17), P4)
  }
  for (; at < input.length; at++) {
    hash = Math.imul(rotate((hash + Math.imul(view.getUint8(at), P5)) | 0, 11), P1)
  }
  hash = Math.imul(hash ^ (hash >>> 15), P2)
  hash = Math.imul(hash ^ (hash >>> 13), P3)
  return (hash ^ (hash >>> 16)) >>> 0
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
