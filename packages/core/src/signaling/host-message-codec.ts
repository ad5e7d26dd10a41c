import { ByteReader } from "../protocol/byte-reader.ts"
import type { ByteWriter } from "../protocol/byte-writer.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import {
  HEADER_BYTES,
  readHeader,
  requireChannel,
  requireConnection,
  requireLength,
  writeHeader,
} from "./frame-header.ts"
import {
  type HostMessage,
  type IceConfiguration,
  type IceServer,
  MAX_ROOM_PEERS,
  PEER_ID_BYTES,
  RESUME_BYTES,
  SIGNALING_VERSION,
  type SignalingLimits,
  signalingErrorCodes,
  unreachableReasons,
} from "./signaling-message.ts"

/** A tag on the wire is `FIRST_TAG` plus the position in this list, so new types go at the end. */
const TYPES = [
  "joined",
  "left",
  "presence",
  "signal",
  "unreachable",
  "renewed",
  "ice",
  "error",
  "bye",
  "pong",
] as const satisfies readonly HostMessage["type"][]
const FIRST_TAG = 0x81

/** A host may send longer frames than it takes: a whole room and the ICE servers. */
const MAX_HOST_FRAME_BYTES = 64 * 1024
const MAX_ICE_SERVERS = 16
const MAX_ICE_URLS = 8
const MAX_ICE_TEXT_BYTES = 512
const MAX_DETAIL_BYTES = 256

/**
 * Total over hostile input: returns a message or throws `DecodeError`, nothing else. Byte fields are views on
 * `input`: copy what you keep.
 */
export function decodeHostMessage(input: Uint8Array): HostMessage {
  if (input.length > MAX_HOST_FRAME_BYTES) throw new DecodeError("frame-too-large")
  const read = new ByteReader(input)
  const { tag, channel } = readHeader(read)
  const message = readBody(tag, channel, read)
  read.end()
  return message
}

/** Throws `RangeError` when a field does not fit its place. */
export function encodeHostMessage(message: HostMessage): Uint8Array<ArrayBuffer> {
  const tag = tagOf(message.type)
  switch (message.type) {
    case "joined": {
      const write = writeHeader(tag, message.channel, 256 + message.peers.length * PEER_ID_BYTES)
        .flag(message.resumed)
        .bytes(requireLength(message.resume, RESUME_BYTES, "resume"))
        .u32(message.graceMs)
        .u32(message.tokenExpiresInMs)
      writeLimits(write, message.limits)
      writeIce(write, message.ice)
      writePeers(write, message.peers)
      return write.finish()
    }
    case "left":
      return writeHeader(tag, message.channel, 0).finish()
    case "presence": {
      const count = message.joined.length + message.left.length
      const write = writeHeader(tag, message.channel, 4 + count * PEER_ID_BYTES)
      writePeers(write, message.joined)
      writePeers(write, message.left)
      return write.finish()
    }
    case "signal": {
      const frame = new Uint8Array(SIGNAL_HEAD_BYTES + message.blob.length)
      writeSignalHead(frame, message.channel, message.from)
      frame.set(message.blob, SIGNAL_HEAD_BYTES)
      return frame
    }
    case "unreachable":
      return writeHeader(tag, message.channel, PEER_ID_BYTES + 1)
        .bytes(requireLength(message.peer, PEER_ID_BYTES, "peer id"))
        .u8(unreachableReasons.indexOf(message.reason) + 1)
        .finish()
    case "renewed":
      return writeHeader(tag, message.channel, 4).u32(message.tokenExpiresInMs).finish()
    case "ice": {
      const write = writeHeader(tag, 0, 256)
      writeIce(write, message.ice)
      return write.finish()
    }
    case "error":
      return writeHeader(tag, message.channel, 8 + message.detail.length)
        .u8(signalingErrorCodes.indexOf(message.code) + 1)
        .u32(message.retryMs)
        .text(message.detail)
        .finish()
    case "bye":
      return writeHeader(tag, 0, 4).u32(message.retryMs).finish()
    case "pong":
      return writeHeader(tag, 0, 4).u32(message.nonce).finish()
  }
}

/** Where the blob of a signal begins. */
export const SIGNAL_HEAD_BYTES: number = HEADER_BYTES + PEER_ID_BYTES

/**
 * Writes all of a signal except its blob. A host forwards little else, so it can use memory of its own instead of
 * calling `encodeHostMessage` for each.
 */
export function writeSignalHead(frame: Uint8Array, channel: number, from: Uint8Array): void {
  frame[0] = SIGNALING_VERSION
  frame[1] = tagOf("signal")
  frame[2] = channel >> 8
  frame[3] = channel & 0xff
  frame.set(requireLength(from, PEER_ID_BYTES, "peer id"), HEADER_BYTES)
}

function readBody(tag: number, channel: number, read: ByteReader): HostMessage {
  const type = TYPES[tag - FIRST_TAG]
  switch (type) {
    case "joined":
      return {
        type,
        channel: requireChannel(channel),
        resumed: read.flag(),
        resume: read.bytes(RESUME_BYTES),
        graceMs: read.u32(),
        tokenExpiresInMs: read.u32(),
        limits: readLimits(read),
        ice: readIce(read),
        peers: readPeers(read),
      }
    case "left":
      return { type, channel: requireChannel(channel) }
    case "presence":
      return {
        type,
        channel: requireChannel(channel),
        joined: readPeers(read),
        left: readPeers(read),
      }
    case "signal":
      return {
        type,
        channel: requireChannel(channel),
        from: read.bytes(PEER_ID_BYTES),
        blob: read.rest(),
      }
    case "unreachable":
      return {
        type,
        channel: requireChannel(channel),
        peer: read.bytes(PEER_ID_BYTES),
        reason: required(unreachableReasons[read.u8() - 1], "reason"),
      }
    case "renewed":
      return { type, channel: requireChannel(channel), tokenExpiresInMs: read.u32() }
    case "ice":
      requireConnection(channel)
      return { type, ice: readIce(read) }
    case "error":
      return {
        type,
        channel,
        code: required(signalingErrorCodes[read.u8() - 1], "error code"),
        retryMs: read.u32(),
        detail: read.text(MAX_DETAIL_BYTES),
      }
    case "bye":
      requireConnection(channel)
      return { type, retryMs: read.u32() }
    case "pong":
      requireConnection(channel)
      return { type, nonce: read.u32() }
    default:
      throw new DecodeError("unknown-tag", String(tag))
  }
}

function writeLimits(write: ByteWriter, limits: SignalingLimits): void {
  write
    .u32(limits.maxFrameBytes)
    .u32(limits.messagesPerSecond)
    .u32(limits.messageBurst)
    .u32(limits.bytesPerSecond)
    .u32(limits.byteBurst)
    .u16(limits.maxTopics)
    .u16(limits.maxPeers)
    .u32(limits.heartbeatMs)
}

function readLimits(read: ByteReader): SignalingLimits {
  return {
    maxFrameBytes: read.u32(),
    messagesPerSecond: read.u32(),
    messageBurst: read.u32(),
    bytesPerSecond: read.u32(),
    byteBurst: read.u32(),
    maxTopics: read.u16(),
    maxPeers: read.u16(),
    heartbeatMs: read.u32(),
  }
}

function writeIce(write: ByteWriter, ice: IceConfiguration): void {
  if (ice.servers.length > MAX_ICE_SERVERS) throw new RangeError(`at most ${MAX_ICE_SERVERS} ICE servers`)
  write.u32(ice.expiresInMs).varint(ice.servers.length)
  for (const server of ice.servers) {
    if (server.urls.length > MAX_ICE_URLS) throw new RangeError(`at most ${MAX_ICE_URLS} urls an ICE server`)
    write.varint(server.urls.length)
    for (const url of server.urls) write.text(url)
    write.text(server.username).text(server.credential)
  }
}

function readIce(read: ByteReader): IceConfiguration {
  const expiresInMs = read.u32()
  // The smallest server: a count of urls, one url, and two empty texts.
  const servers: IceServer[] = []
  for (let left = read.count(MAX_ICE_SERVERS, 3); left > 0; left--) {
    const urls: string[] = []
    for (let urlsLeft = read.count(MAX_ICE_URLS, 1); urlsLeft > 0; urlsLeft--) {
      urls.push(read.text(MAX_ICE_TEXT_BYTES))
    }
    servers.push({
      urls,
      username: read.text(MAX_ICE_TEXT_BYTES),
      credential: read.text(MAX_ICE_TEXT_BYTES),
    })
  }
  return { servers, expiresInMs }
}

function writePeers(write: ByteWriter, peers: readonly Uint8Array[]): void {
  if (peers.length > MAX_ROOM_PEERS) throw new RangeError(`at most ${MAX_ROOM_PEERS} peers in one list`)
  write.u16(peers.length)
  for (const peer of peers) write.bytes(requireLength(peer, PEER_ID_BYTES, "peer id"))
}

function readPeers(read: ByteReader): readonly Uint8Array[] {
  const count = read.u16()
  if (count > MAX_ROOM_PEERS) throw new DecodeError("too-many-items", `${count} of at most ${MAX_ROOM_PEERS}`)
  if (count * PEER_ID_BYTES > read.remaining) throw new DecodeError("truncated")
  return Array.from({ length: count }, () => read.bytes(PEER_ID_BYTES))
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new DecodeError("bad-value", `unknown ${what}`)
  return value
}

function tagOf(type: HostMessage["type"]): number {
  return FIRST_TAG + TYPES.indexOf(type)
}
