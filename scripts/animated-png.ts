import { crc32 } from "node:zlib"

export interface AnimationFrame {
  /** A PNG; all frames of one animation have the same colour type. */
  readonly png: Uint8Array
  /** Position on the first frame, which must cover the whole image. */
  readonly x: number
  readonly y: number
  readonly delayMs: number
}

interface Chunk {
  readonly type: string
  readonly data: Uint8Array
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

/** Joins PNGs into an animated one that repeats for ever. The pixels stay untouched; only the chunks are renamed. */
export function joinPngs(frames: readonly AnimationFrame[]): Buffer {
  const [first] = frames
  if (first === undefined) throw new RangeError("An animation has at least one frame")
  const header = chunksOf(first.png).find(({ type }) => type === "IHDR")
  if (header === undefined) throw new TypeError("The first frame is no PNG")
  const output = [SIGNATURE, encode("IHDR", header.data), encode("acTL", words(frames.length, 0))]
  let sequence = 0
  for (const [index, frame] of frames.entries()) {
    const chunks = chunksOf(frame.png)
    const size = chunks.find(({ type }) => type === "IHDR")?.data.subarray(0, 8) ?? new Uint8Array(8)
    output.push(encode("fcTL", control(sequence++, size, frame)))
    for (const { data } of chunks.filter(({ type }) => type === "IDAT")) {
      // Programs without support for animation show the first frame.
      output.push(index === 0 ? encode("IDAT", data) : encode("fdAT", join(words(sequence++), data)))
    }
  }
  output.push(encode("IEND", new Uint8Array(0)))
  return Buffer.concat(output)
}

function control(sequence: number, size: Uint8Array, { x, y, delayMs }: AnimationFrame): Uint8Array {
  const delay = new Uint8Array(6)
  const view = new DataView(delay.buffer)
  view.setUint16(0, delayMs)
  view.setUint16(2, 1_000)
  // Keep what is there, and replace by this frame: dispose 0, blend 0.
  return join(words(sequence), size, words(x, y), delay)
}

function chunksOf(png: Uint8Array): readonly Chunk[] {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  const chunks: Chunk[] = []
  for (let at = SIGNATURE.length; at + 12 <= png.length;) {
    const length = view.getUint32(at)
    const type = Buffer.from(png.subarray(at + 4, at + 8)).toString("latin1")
    chunks.push({ type, data: png.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  return chunks
}

function encode(type: string, data: Uint8Array): Uint8Array {
  const body = join(Buffer.from(type, "latin1"), data)
  return join(words(data.length), body, words(crc32(body)))
}

function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value)
  return bytes
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
