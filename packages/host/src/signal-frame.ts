import { SIGNAL_HEAD_BYTES, writeSignalHead } from "@dunlin/core/signaling"
import { bytesOfKey } from "./binary-key.ts"

/** A binary frame, unfragmented and unmasked, as servers send them. */
const BINARY_FRAME = 0x82
const LENGTH_IN_TWO_BYTES = 126
const MAX_SHORT_LENGTH = 125
const MAX_LENGTH = 0xffff

/**
 * A signal as a WebSocket frame in a single buffer. `ws` would write the frame's header separately, and a host does
 * little else than forward signals.
 */
export function signalFrame(
  channel: number,
  from: string,
  blob: Uint8Array,
): { readonly bytes: Buffer; readonly payloadBytes: number } {
  const payloadBytes = SIGNAL_HEAD_BYTES + blob.length
  if (payloadBytes > MAX_LENGTH) throw new RangeError(`a signal of ${payloadBytes} bytes is not a client's`)
  const headBytes = payloadBytes <= MAX_SHORT_LENGTH ? 2 : 4
  const bytes = Buffer.allocUnsafe(headBytes + payloadBytes)
  bytes[0] = BINARY_FRAME
  if (headBytes === 2) bytes[1] = payloadBytes
  else {
    bytes[1] = LENGTH_IN_TWO_BYTES
    bytes.writeUInt16BE(payloadBytes, 2)
  }
  writeSignalHead(bytes.subarray(headBytes), channel, bytesOfKey(from))
  bytes.set(blob, headBytes + SIGNAL_HEAD_BYTES)
  return { bytes, payloadBytes }
}
