import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import type { Frame } from "./frame.ts"
import { decodeFrame, type SplitFrame } from "./frame-codec.ts"
import { BULK_MESSAGE_BYTES } from "./limits.ts"

export type Lane = "control" | "bulk"

export type EncodedFrame = Uint8Array | SplitFrame

/** What may be long has a lane of its own, so that nothing else waits behind it. */
export function laneOf(type: Frame["type"]): Lane {
  return type === "data" || type === "chunk" || type === "fragment" ? "bulk" : "control"
}

/** Bytes that one frame of `length` bytes takes in a message. */
export function framedBytes(length: number): number {
  return length + (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : 4)
}

/** A message is its frames one after another, each preceded by its length as a varint. */
export function encodeMessage(frames: readonly EncodedFrame[]): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(frames.reduce((sum, frame) => sum + framedBytes(frame.length), 0))
  for (const frame of frames) {
    write.varint(frame.length)
    if ("head" in frame) write.bytes(frame.head).bytes(frame.payload)
    else write.bytes(frame)
  }
  return write.view()
}

export interface SizedFrame {
  readonly frame: Frame
  /** The encoded length in bytes, which is what credit counts. */
  readonly size: number
}

/** Total over hostile input: all frames of the message, or a `DecodeError` and none of them. */
export function decodeMessage(
  input: Uint8Array,
  maxBytes: number = BULK_MESSAGE_BYTES,
): readonly SizedFrame[] {
  if (input.length > maxBytes) throw new DecodeError("frame-too-large")
  const read = new ByteReader(input)
  const frames: SizedFrame[] = []
  do {
    const bytes = read.block(maxBytes)
    frames.push({ frame: decodeFrame(bytes), size: bytes.length })
  } while (read.remaining > 0)
  return frames
}
