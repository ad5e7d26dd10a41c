/** Magic numbers of LZ4's two frame formats, in which Loro packs the blocks of a snapshot. */
const FRAME = 0x18_4d_22_04
const LEGACY_FRAME = 0x18_4c_21_02
/** A packed byte stands for at most this many: a byte of a length field counts up to 255. */
export const MAX_LZ4_RATIO = 255
/** A crafted blob may nest frame in frame: after this many passes over its bytes, it counts as too large. */
const MAX_PASSES = 8

/**
 * How many bytes the packed blocks of a blob unpack to, counted from their length fields without unpacking anything.
 * Counts every place where a block may begin, and so rather too much than too little. Stops above `limit`.
 */
export function countUnpackedBytes(bytes: Uint8Array, limit: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let total = 0
  let read = 0
  for (const first of [FRAME & 0xff, LEGACY_FRAME & 0xff]) {
    for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
      if (at + 4 > bytes.length) break
      const magic = view.getUint32(at, true)
      if (magic !== FRAME && magic !== LEGACY_FRAME) continue
      const frame = countFrame(bytes, view, at, magic, limit - total)
      total += frame.unpacked
      read += frame.end - at
      if (total > limit) return total
      if (read > MAX_PASSES * bytes.length) return limit + 1
    }
  }
  return total
}

function countFrame(
  bytes: Uint8Array,
  view: DataView,
  from: number,
  magic: number,
  limit: number,
): { readonly unpacked: number; readonly end: number } {
  const flags = magic === FRAME ? (bytes[from + 4] ?? 0) : 0
  const blockChecksum = (flags & 0x10) === 0 ? 0 : 4
  const header = magic === FRAME ? 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4) : 4
  let unpacked = 0
  let at = from + header
  while (at + 4 <= bytes.length && unpacked <= limit) {
    const field = view.getUint32(at, true)
    const size = field & 0x7fff_ffff
    at += 4
    if (size === 0 || at + size > bytes.length) break
    unpacked += field === size ? countBlock(bytes, at, at + size) : size
    at += size + blockChecksum
  }
  return { unpacked, end: Math.min(at, bytes.length) }
}

/** A block is a chain of literals to copy and matches to repeat, each preceded by its length. */
function countBlock(bytes: Uint8Array, from: number, end: number): number {
  let unpacked = 0
  let at = from
  const readLength = (nibble: number): number => {
    if (nibble < 15) return nibble
    let length = nibble
    for (let byte = 255; byte === 255 && at < end;) {
      byte = bytes[at++] ?? 0
      length += byte
    }
    return length
  }
  while (at < end) {
    const token = bytes[at++] ?? 0
    const literals = readLength(token >> 4)
    at += literals
    unpacked += literals
    if (at >= end) break
    at += 2
    unpacked += 4 + readLength(token & 0x0f)
  }
  return unpacked
}
