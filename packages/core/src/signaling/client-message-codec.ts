import { ByteReader } from "../protocol/byte-reader.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import { readHeader, requireChannel, requireConnection, requireLength, writeHeader } from "./frame-header.ts"
import {
  type ClientMessage,
  MAX_FRAME_BYTES,
  MAX_TOKEN_BYTES,
  PEER_ID_BYTES,
  RESUME_BYTES,
  TOPIC_BYTES,
} from "./signaling-message.ts"

const tags = { join: 0x01, leave: 0x02, signal: 0x03, renew: 0x04, "ice-request": 0x05, ping: 0x06 } as const

/**
 * Total over hostile input: returns a message or throws `DecodeError`, nothing else. Byte fields are views on
 * `input`: copy what you keep.
 */
export function decodeClientMessage(input: Uint8Array): ClientMessage {
  if (input.length > MAX_FRAME_BYTES) throw new DecodeError("frame-too-large")
  const read = new ByteReader(input)
  const { tag, channel } = readHeader(read)
  const message = readBody(tag, channel, read)
  read.end()
  return message
}

/** Throws `RangeError` when a field does not fit its place. */
export function encodeClientMessage(message: ClientMessage): Uint8Array<ArrayBuffer> {
  const tag = tags[message.type]
  switch (message.type) {
    case "join":
      return writeHeader(tag, message.channel, 72 + message.token.length)
        .bytes(requireLength(message.topic, TOPIC_BYTES, "topic"))
        .bytes(requireLength(message.peer, PEER_ID_BYTES, "peer id"))
        .bytes(
          message.resume
            ? requireLength(message.resume, RESUME_BYTES, "resume")
            : new Uint8Array(RESUME_BYTES),
        )
        .text(boundedToken(message.token))
        .finish()
    case "leave":
      return writeHeader(tag, message.channel, 0).finish()
    case "signal":
      return writeHeader(tag, message.channel, PEER_ID_BYTES + message.blob.length)
        .bytes(requireLength(message.to, PEER_ID_BYTES, "peer id"))
        .bytes(message.blob)
        .finish()
    case "renew":
      return writeHeader(tag, message.channel, 2 + message.token.length)
        .text(boundedToken(message.token))
        .finish()
    case "ice-request":
      return writeHeader(tag, 0, 0).finish()
    case "ping":
      return writeHeader(tag, 0, 4).u32(message.nonce).finish()
  }
}

function readBody(tag: number, channel: number, read: ByteReader): ClientMessage {
  switch (tag) {
    case tags.join:
      return {
        type: "join",
        channel: requireChannel(channel),
        topic: read.bytes(TOPIC_BYTES),
        peer: read.bytes(PEER_ID_BYTES),
        resume: nullWhenZero(read.bytes(RESUME_BYTES)),
        token: read.text(MAX_TOKEN_BYTES),
      }
    case tags.leave:
      return { type: "leave", channel: requireChannel(channel) }
    case tags.signal:
      return {
        type: "signal",
        channel: requireChannel(channel),
        to: read.bytes(PEER_ID_BYTES),
        blob: nonEmpty(read.rest()),
      }
    case tags.renew:
      return { type: "renew", channel: requireChannel(channel), token: read.text(MAX_TOKEN_BYTES) }
    case tags["ice-request"]:
      requireConnection(channel)
      return { type: "ice-request" }
    case tags.ping:
      requireConnection(channel)
      return { type: "ping", nonce: read.u32() }
    default:
      throw new DecodeError("unknown-tag", String(tag))
  }
}

function nullWhenZero(bytes: Uint8Array): Uint8Array | null {
  return bytes.every((byte) => byte === 0) ? null : bytes
}

function nonEmpty(blob: Uint8Array): Uint8Array {
  if (blob.length === 0) throw new DecodeError("bad-value", "empty signal")
  return blob
}

function boundedToken(token: string): string {
  // Tokens are base64url in practice, so characters are bytes; the host counts bytes again.
  if (token.length > MAX_TOKEN_BYTES) {
    throw new RangeError(`token is ${token.length} characters, a host takes ${MAX_TOKEN_BYTES}`)
  }
  return token
}
