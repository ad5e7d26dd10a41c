import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import type { AnnounceFrame, Frame, NakItem, RootItem } from "./frame.ts"
import * as limits from "./limits.ts"

/** A tag on the wire is the place in this list, counted from one: new types go to the end. */
const TYPES = [
  "hello",
  "announce",
  "withdraw",
  "range",
  "range-ack",
  "offer",
  "want",
  "data",
  "push",
  "have",
  "ack",
  "nak",
  "root",
  "credit",
  "links",
  "presence",
  "chunk-want",
  "chunk",
  "ping",
  "pong",
  "fragment",
  "bye",
  "prune",
  "presence-relay",
] as const satisfies readonly Frame["type"][]

const DIRECTIONS: readonly AnnounceFrame["direction"][] = ["both", "send-only", "receive-only"]

/** A frame whose payload is still where it came from: a message is the one place that it is copied to. */
export interface SplitFrame {
  readonly head: Uint8Array
  readonly payload: Uint8Array
  /** Of both. */
  readonly length: number
}

type PayloadFrame = Extract<Frame, { type: "data" | "push" | "chunk" | "fragment" }>

/** The frame alone, without the length that `message.ts` puts before it. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const payload = payloadOf(frame)
  const write = new ByteWriter(HEAD_BYTES + payload.length).u8(TYPES.indexOf(frame.type) + 1)
  writeHead(write, frame)
  return write.bytes(payload).view()
}

/** The same bytes, for a payload that nobody changes until they have been sent. */
export function splitFrame(frame: PayloadFrame): SplitFrame {
  const payload = payloadOf(frame)
  const write = new ByteWriter(HEAD_BYTES).u8(TYPES.indexOf(frame.type) + 1)
  writeHead(write, frame)
  return { head: write.view(), payload, length: write.length + payload.length }
}

/** What ends a frame that carries application data. */
function payloadOf(frame: Frame): Uint8Array {
  if (frame.type === "data" || frame.type === "push") return frame.delta
  return frame.type === "chunk" || frame.type === "fragment" ? frame.bytes : NO_PAYLOAD
}

/** Total over hostile input: returns a frame or throws `DecodeError`, nothing else. Views into `input` are copied. */
export function decodeFrame(input: Uint8Array): Frame {
  const read = new ByteReader(input)
  const frame = readBody(read.u8(), read)
  read.end()
  return frame
}

/** All of a frame but its payload. */
function writeHead(write: ByteWriter, frame: Frame): void {
  switch (frame.type) {
    case "hello":
      write.u8(frame.version).bytes(frame.session).u32(frame.maxMessageBytes).flag(frame.refusesEntries)
      return
    case "announce":
      write.varint(frame.slot).text(frame.name).u8(frame.kind).text(frame.schemaTag)
      write.u8(DIRECTIONS.indexOf(frame.direction)).varint(frame.count).bytes(frame.root)
      writeOptional(write, frame.basis)
      return
    case "withdraw":
    case "prune":
      write.varint(frame.slot)
      return
    case "range":
      write.varint(frame.slot).u32(frame.salt).varint(frame.sequence).flag(frame.reply)
      write.varint(frame.grant).bytes(frame.records)
      return
    case "range-ack":
      write.varint(frame.slot).u32(frame.salt).varint(frame.sequence)
      write.varint(frame.frames).varint(frame.answered).flag(frame.later)
      return
    case "offer":
      write.varint(frame.slot).varint(frame.items.length)
      for (const item of frame.items) write.bytes(item.position).bytes(item.digest).varint(item.size)
      return
    case "want":
      write.varint(frame.slot).varint(frame.items.length)
      for (const item of frame.items) write.bytes(item.position).block(item.summary)
      return
    case "data":
      write.varint(frame.slot).u8(frame.kind).text(frame.key).bytes(frame.digest)
      return
    case "push":
      write.varint(frame.slot).u8(frame.kind).text(frame.key)
      write.bytes(frame.before).bytes(frame.after)
      return
    case "have":
      write.varint(frame.slot).varint(frame.items.length)
      for (const item of frame.items) write.bytes(item.position).bytes(item.digest)
      return
    case "ack":
      write.varint(frame.control).varint(frame.bulk)
      return
    case "nak":
      write.varint(frame.slot).varint(frame.items.length)
      for (const item of frame.items) {
        write.bytes(item.position).bytes(item.digest).flag(item.again).text(item.reason)
      }
      return
    case "root":
      write.varint(frame.roots.length)
      for (const item of frame.roots) writeRoot(write, item)
      return
    case "credit":
      write.varint(frame.total)
      return
    case "links":
      write.varint(frame.sessions.length)
      for (const session of frame.sessions) write.bytes(session)
      return
    case "presence":
      writeOptional(write, frame.value)
      return
    case "presence-relay":
      write.bytes(frame.session).bytes(frame.device).varint(frame.sequence).varint(frame.ageMs)
      writeOptional(write.bytes(frame.signature), frame.value)
      return
    case "chunk-want":
      write.varint(frame.slot).bytes(frame.position).bytes(frame.blob)
      write.varint(frame.size).varint(frame.first).bytes(frame.bitmap)
      return
    case "chunk":
      write.varint(frame.slot).bytes(frame.position).bytes(frame.blob).varint(frame.index)
      return
    case "ping":
    case "pong":
      write.u32(frame.nonce)
      return
    case "fragment":
      write.varint(frame.id).varint(frame.index).varint(frame.total).varint(frame.size)
      return
    case "bye":
      write.text(frame.reason)
      return
  }
}

function writeOptional(write: ByteWriter, bytes: Uint8Array | null): void {
  write.flag(bytes !== null)
  if (bytes !== null) write.bytes(bytes)
}

function writeRoot(write: ByteWriter, item: RootItem): void {
  const flags = (item.settled ? 1 : 0) | (item.answer ? 2 : 0) | (item.agreed ? 4 : 0)
  write.varint(item.slot).varint(item.count).bytes(item.root).u8(flags)
}

function readBody(tag: number, read: ByteReader): Frame {
  const type = TYPES[tag - 1]
  switch (type) {
    case "hello":
      return readHello(read)
    case "announce":
      return readAnnounce(read)
    case "withdraw":
    case "prune":
      return { type, slot: readSlot(read) }
    case "range":
      return {
        type,
        slot: readSlot(read),
        salt: read.u32(),
        sequence: read.varint(0xffff_ffff),
        reply: read.flag(),
        grant: read.varint(limits.MAX_MESSAGE_BYTES),
        records: readRest(read, limits.MAX_RANGE_BYTES, "range"),
      }
    case "range-ack":
      return {
        type,
        slot: readSlot(read),
        salt: read.u32(),
        sequence: read.varint(0xffff_ffff),
        frames: read.varint(limits.MAX_MESSAGE_BYTES),
        answered: read.varint(limits.MAX_MESSAGE_BYTES),
        later: read.flag(),
      }
    case "offer":
      return { type, slot: readSlot(read), items: readItems(read, 33, readOfferItem) }
    case "want":
      return { type, slot: readSlot(read), items: readItems(read, 17, readWantItem) }
    case "data":
      return {
        type,
        slot: readSlot(read),
        kind: read.u8(),
        key: readKey(read),
        digest: read.copy(limits.SHORT_DIGEST_BYTES),
        delta: read.copy(),
      }
    case "push":
      return {
        type,
        slot: readSlot(read),
        kind: read.u8(),
        key: readKey(read),
        before: read.copy(limits.SHORT_DIGEST_BYTES),
        after: read.copy(limits.SHORT_DIGEST_BYTES),
        delta: read.copy(),
      }
    case "have":
      return { type, slot: readSlot(read), items: readItems(read, 24, readHaveItem) }
    case "ack":
      return { type, control: read.varint(), bulk: read.varint() }
    case "nak":
      return { type, slot: readSlot(read), items: readItems(read, 26, readNakItem) }
    case "root": {
      const roots = Array.from({ length: read.count(limits.MAX_REPLICAS, 19) }, () => readRoot(read))
      return { type, roots }
    }
    case "credit":
      return { type, total: read.varint() }
    case "links": {
      const count = read.count(limits.MAX_LINKS_ANNOUNCED, limits.SESSION_ID_BYTES)
      return { type, sessions: Array.from({ length: count }, () => readSession(read)) }
    }
    case "presence":
      return { type, value: readPresence(read) }
    case "presence-relay":
      return {
        type,
        session: readSession(read),
        device: read.copy(limits.DEVICE_KEY_BYTES),
        sequence: read.varint(),
        ageMs: read.varint(0xffff_ffff),
        signature: read.copy(limits.SIGNATURE_BYTES),
        value: readPresence(read),
      }
    case "chunk-want":
      return {
        type,
        slot: readSlot(read),
        position: readPosition(read),
        blob: read.copy(limits.BLOB_DIGEST_BYTES),
        size: read.varint(limits.MAX_BLOB_BYTES),
        first: read.varint(limits.MAX_BLOB_BYTES / limits.CHUNK_BYTES),
        bitmap: readBitmap(read),
      }
    case "chunk":
      return {
        type,
        slot: readSlot(read),
        position: readPosition(read),
        blob: read.copy(limits.BLOB_DIGEST_BYTES),
        index: read.varint(limits.MAX_BLOB_BYTES / limits.CHUNK_BYTES),
        bytes: readRest(read, limits.CHUNK_BYTES, "chunk"),
      }
    case "ping":
    case "pong":
      return { type, nonce: read.u32() }
    case "fragment":
      return readFragment(read)
    case "bye":
      return { type, reason: read.text(limits.MAX_REASON_BYTES) }
    default:
      throw new DecodeError("unknown-tag", `frame ${tag}`)
  }
}

function readHello(read: ByteReader): Frame {
  const version = read.u8()
  // Nothing behind an unknown version can be trusted to mean what it means here.
  if (version !== limits.PROTOCOL_VERSION) throw new DecodeError("unknown-version", `${version}`)
  const session = readSession(read)
  const maxMessageBytes = read.u32()
  if (maxMessageBytes < limits.MIN_MESSAGE_BYTES) throw new DecodeError("bad-value", "message cap")
  return { type: "hello", version, session, maxMessageBytes, refusesEntries: read.flag() }
}

function readAnnounce(read: ByteReader): Frame {
  const slot = readSlot(read)
  const name = read.text(limits.MAX_NAME_BYTES)
  const kind = read.u8()
  const schemaTag = read.text(limits.MAX_NAME_BYTES)
  const direction = DIRECTIONS[read.u8()]
  if (direction === undefined) throw new DecodeError("bad-value", "direction")
  if (name === "") throw new DecodeError("bad-value", "empty name")
  const count = read.varint(0xffff_ffff)
  const root = readDigest(read)
  const basis = read.flag() ? readDigest(read) : null
  return { type: "announce", slot, name, kind, schemaTag, direction, count, root, basis }
}

function readRoot(read: ByteReader): RootItem {
  const slot = readSlot(read)
  const count = read.varint(0xffff_ffff)
  const root = readDigest(read)
  const flags = read.u8()
  if (flags > 7) throw new DecodeError("bad-value", "flags")
  return {
    slot,
    count,
    root,
    settled: (flags & 1) !== 0,
    answer: (flags & 2) !== 0,
    agreed: (flags & 4) !== 0,
  }
}

function readFragment(read: ByteReader): Frame {
  const id = read.varint(0xffff_ffff)
  const index = read.varint(limits.MAX_ENTRY_BYTES)
  const total = read.varint(limits.MAX_ENTRY_BYTES)
  const size = read.varint(limits.MAX_ENTRY_BYTES + limits.MAX_KEY_BYTES + 64)
  const bytes = read.copy()
  if (total < 2 || index >= total) throw new DecodeError("bad-value", "fragment")
  const least = index < total - 1 ? limits.MIN_FRAGMENT_BYTES : 1
  if (bytes.length < least || bytes.length > size) throw new DecodeError("bad-value", "fragment")
  return { type: "fragment", id, index, total, size, bytes }
}

function readItems<Item>(read: ByteReader, minBytes: number, readItem: (read: ByteReader) => Item): Item[] {
  const count = read.count(limits.MAX_ITEMS, minBytes)
  return Array.from({ length: count }, () => readItem(read))
}

function readOfferItem(read: ByteReader): { position: Uint8Array; digest: Uint8Array; size: number } {
  return { position: readPosition(read), digest: readDigest(read), size: read.varint(limits.MAX_BLOB_BYTES) }
}

function readWantItem(read: ByteReader): { position: Uint8Array; summary: Uint8Array } {
  return { position: readPosition(read), summary: read.block(limits.MAX_SUMMARY_BYTES).slice() }
}

function readHaveItem(read: ByteReader): { position: Uint8Array; digest: Uint8Array } {
  return { position: readPosition(read), digest: read.copy(limits.SHORT_DIGEST_BYTES) }
}

function readNakItem(read: ByteReader): NakItem {
  return { ...readHaveItem(read), again: read.flag(), reason: read.text(limits.MAX_REASON_BYTES) }
}

/** The rest of the frame. */
function readRest(read: ByteReader, limit: number, what: string): Uint8Array {
  if (read.remaining > limit) throw new DecodeError("frame-too-large", what)
  return read.copy()
}

function readPresence(read: ByteReader): Uint8Array | null {
  return read.flag() ? readRest(read, limits.MAX_PRESENCE_BYTES, "presence") : null
}

function readBitmap(read: ByteReader): Uint8Array {
  const bytes = read.copy()
  if (bytes.length === 0 || bytes.length > 1_024) throw new DecodeError("bad-value", "bitmap")
  return bytes
}

function readSlot(read: ByteReader): number {
  return read.varint(limits.MAX_REPLICAS - 1)
}

function readKey(read: ByteReader): string {
  return read.text(limits.MAX_KEY_BYTES)
}

function readSession(read: ByteReader): Uint8Array {
  return read.copy(limits.SESSION_ID_BYTES)
}

function readPosition(read: ByteReader): Uint8Array {
  return read.copy(limits.POSITION_BYTES)
}

function readDigest(read: ByteReader): Uint8Array {
  return read.copy(limits.DIGEST_BYTES)
}

/** Holds the heads of most frames, and is what a runtime keeps inside its own heap: longer buffers cost an allocation outside it. */
const HEAD_BYTES = 64
const NO_PAYLOAD = new Uint8Array(0)
