import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"
import {
  MAX_FRAME_BYTES,
  MAX_ROOM_PEERS,
  PEER_ID_BYTES,
  type UnreachableReason,
  unreachableReasons,
} from "@dunlin/core/signaling"
import { bytesOfKey, keyOfBytes } from "../binary-key.ts"
import { BIRTH_BYTES } from "../session-claim.ts"
import type { MemberFacts, SessionElsewhere } from "../topic-directory.ts"

/** A topic as hosts name it to each other: 16 bytes as a key. It is a hash, because the topic itself grants entry. */
export type TopicHash = string

export type ClusterMessage =
  /** Every 2 s, to all, with the time since the host started. */
  | { readonly type: "heartbeat"; readonly node: string; readonly uptimeMs: number }
  /** A host has its first member in a topic, and asks who is there. */
  | { readonly type: "ask"; readonly node: string; readonly topic: TopicHash }
  /** A host's members in a topic: all of them, or what has changed. */
  | {
      readonly type: "announce"
      readonly node: string
      readonly topic: TopicHash
      readonly complete: boolean
      readonly joined: readonly MemberFacts[]
      readonly left: readonly string[]
    }
  /** A client wants to resume a session that the asking host does not know. */
  | { readonly type: "find"; readonly node: string; readonly topic: TopicHash; readonly peer: string }
  /** What a host knows of that session. A host that does not know it stays silent. */
  | ({
      readonly type: "found"
      readonly topic: TopicHash
      readonly peer: string
    } & SessionElsewhere)
  /** To the host that has the receiver. */
  | {
      readonly type: "signal"
      readonly node: string
      readonly topic: TopicHash
      readonly to: string
      readonly from: string
      readonly blob: Uint8Array
    }
  /** Back to the sender's host. */
  | {
      readonly type: "unreachable"
      readonly topic: TopicHash
      readonly sender: string
      readonly peer: string
      readonly reason: UnreachableReason
    }

const TOPIC_HASH_BYTES = 16
const CLAIM_BYTES = 16
const NO_CLAIM = "\0".repeat(CLAIM_BYTES)
const MEMBER_BYTES = PEER_ID_BYTES + 2 * CLAIM_BYTES + BIRTH_BYTES + 4
const MAX_NODE_BYTES = 64
/** Replies go to a subject made from the name, and NATS would read a space or a wildcard in it as a command. */
const NODE_NAME = /^[A-Za-z0-9_-]+$/
const VERSION = 1
const tags = { heartbeat: 1, ask: 2, announce: 3, signal: 4, unreachable: 5, find: 6, found: 7 } as const

export function encodeClusterMessage(message: ClusterMessage): Uint8Array {
  const write = new ByteWriter(message.type === "signal" ? 160 + message.blob.length : 256)
    .u8(VERSION)
    .u8(tags[message.type])
  switch (message.type) {
    case "heartbeat":
      return write.text(message.node).u53(message.uptimeMs).finish()
    case "ask":
      return write.text(message.node).bytes(bytesOfKey(message.topic)).finish()
    case "find":
      return write
        .text(message.node)
        .bytes(bytesOfKey(message.topic))
        .bytes(bytesOfKey(message.peer))
        .finish()
    case "found":
      return write
        .bytes(bytesOfKey(message.topic))
        .bytes(bytesOfKey(message.peer))
        .bytes(bytesOfKey(message.claim))
        .bytes(bytesOfKey(message.birth))
        .u32(message.generation)
        .finish()
    case "announce": {
      write
        .text(message.node)
        .bytes(bytesOfKey(message.topic))
        .u8(message.complete ? 1 : 0)
      write.u16(message.joined.length)
      for (const { peer, claim, took, birth, generation } of message.joined) {
        write
          .bytes(bytesOfKey(peer))
          .bytes(bytesOfKey(claim))
          .bytes(bytesOfKey(took ?? NO_CLAIM))
          .bytes(bytesOfKey(birth))
          .u32(generation)
      }
      write.u16(message.left.length)
      for (const peer of message.left) write.bytes(bytesOfKey(peer))
      return write.finish()
    }
    case "signal":
      return write
        .text(message.node)
        .bytes(bytesOfKey(message.topic))
        .bytes(bytesOfKey(message.to))
        .bytes(bytesOfKey(message.from))
        .bytes(message.blob)
        .finish()
    case "unreachable":
      return write
        .bytes(bytesOfKey(message.topic))
        .bytes(bytesOfKey(message.sender))
        .bytes(bytesOfKey(message.peer))
        .u8(unreachableReasons.indexOf(message.reason) + 1)
        .finish()
  }
}

/** Throws `DecodeError` on anything else: other users of the same NATS must not disturb a host. */
export function decodeClusterMessage(bytes: Uint8Array): ClusterMessage {
  const read = new ByteReader(bytes)
  if (read.u8() !== VERSION) throw new DecodeError("unknown-version")
  const message = readBody(read.u8(), read)
  read.end()
  return message
}

function readBody(tag: number, read: ByteReader): ClusterMessage {
  const key = (length: number): string => keyOfBytes(read.bytes(length))
  const node = (): string => readNode(read)
  switch (tag) {
    case tags.heartbeat:
      return { type: "heartbeat", node: node(), uptimeMs: read.u53() }
    case tags.ask:
      return { type: "ask", node: node(), topic: key(TOPIC_HASH_BYTES) }
    case tags.find:
      return { type: "find", node: node(), topic: key(TOPIC_HASH_BYTES), peer: key(PEER_ID_BYTES) }
    case tags.found:
      return {
        type: "found",
        topic: key(TOPIC_HASH_BYTES),
        peer: key(PEER_ID_BYTES),
        claim: key(CLAIM_BYTES),
        birth: key(BIRTH_BYTES),
        generation: read.u32(),
      }
    case tags.announce:
      return {
        type: "announce",
        node: node(),
        topic: key(TOPIC_HASH_BYTES),
        complete: read.flag(),
        joined: readMany(read, MEMBER_BYTES, () => ({
          peer: key(PEER_ID_BYTES),
          claim: key(CLAIM_BYTES),
          took: readTook(key(CLAIM_BYTES)),
          birth: key(BIRTH_BYTES),
          generation: read.u32(),
        })),
        left: readMany(read, PEER_ID_BYTES, () => key(PEER_ID_BYTES)),
      }
    case tags.signal:
      return {
        type: "signal",
        node: node(),
        topic: key(TOPIC_HASH_BYTES),
        to: key(PEER_ID_BYTES),
        from: key(PEER_ID_BYTES),
        blob: readBlob(read),
      }
    case tags.unreachable:
      return {
        type: "unreachable",
        topic: key(TOPIC_HASH_BYTES),
        sender: key(PEER_ID_BYTES),
        peer: key(PEER_ID_BYTES),
        reason: readReason(read.u8()),
      }
    default:
      throw new DecodeError("unknown-tag", String(tag))
  }
}

function readNode(read: ByteReader): string {
  const name = read.text(MAX_NODE_BYTES)
  if (!NODE_NAME.test(name)) throw new DecodeError("bad-value", "name of a host")
  return name
}

/** Hosts take no longer blobs from their own clients, and clients take none from a host. */
function readBlob(read: ByteReader): Uint8Array {
  if (read.remaining > MAX_FRAME_BYTES) throw new DecodeError("frame-too-large")
  return read.rest()
}

function readMany<T>(read: ByteReader, itemBytes: number, readOne: () => T): T[] {
  const count = read.u16()
  if (count > MAX_CHANGES) throw new DecodeError("too-many-items")
  if (count * itemBytes > read.remaining) throw new DecodeError("truncated")
  return Array.from({ length: count }, readOne)
}

/** Members come and go between two announcements; more changes than this are split over several. */
export const MAX_CHANGES: number = MAX_ROOM_PEERS * 4

function readTook(claim: string): string | null {
  return claim === NO_CLAIM ? null : claim
}

function readReason(number: number): UnreachableReason {
  const reason = unreachableReasons[number - 1]
  if (reason === undefined) throw new DecodeError("bad-value", "unknown reason")
  return reason
}
