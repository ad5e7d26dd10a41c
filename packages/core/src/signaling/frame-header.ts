import type { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import { SIGNALING_VERSION } from "./signaling-message.ts"

/** `version u8 | type u8 | channel u16`, before every body. */
export interface FrameHeader {
  readonly tag: number
  readonly channel: number
}

export const HEADER_BYTES = 4

export function readHeader(read: ByteReader): FrameHeader {
  const version = read.u8()
  if (version !== SIGNALING_VERSION) throw new DecodeError("unknown-version", String(version))
  return { tag: read.u8(), channel: read.u16() }
}

export function writeHeader(tag: number, channel: number, bodyBytes: number): ByteWriter {
  return new ByteWriter(HEADER_BYTES + bodyBytes).u8(SIGNALING_VERSION).u8(tag).u16(channel)
}

/** For messages about a membership. */
export function requireChannel(channel: number): number {
  if (channel === 0) throw new DecodeError("bad-value", "channel must not be 0")
  return channel
}

/** For messages about the connection as a whole. */
export function requireConnection(channel: number): void {
  if (channel !== 0) throw new DecodeError("bad-value", "channel must be 0")
}

export function requireLength(bytes: Uint8Array, length: number, what: string): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${what} must be ${length} bytes, not ${bytes.length}`)
  return bytes
}
