import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import {
  block,
  bytes,
  checked,
  type Field,
  FLAG,
  list,
  oneOf,
  optional,
  payload,
  rest,
  struct,
  text,
  U32,
  U8,
  varint,
} from "./field.ts"
import type { AnnounceFrame, Frame, Holding, RootItem } from "./frame.ts"
import * as limits from "./limits.ts"
import { NO_BYTES } from "./same-bytes.ts"

/** An encoded frame whose payload is still in its own buffer, so that it is copied only once, into the message. */
export interface SplitFrame {
  readonly head: Uint8Array
  readonly payload: Uint8Array
  /** Of head and payload together. */
  readonly length: number
}

type PayloadFrame = Extract<Frame, { type: "data" | "push" | "chunk" | "fragment" }>

/** The frame alone, without the length that `message.ts` puts before it. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const last = payloadOf(frame)
  return writeHead(frame, HEAD_BYTES + last.length)
    .bytes(last)
    .view()
}

/** The same bytes in two parts. Nobody may change the payload until it has been sent. */
export function splitFrame(frame: PayloadFrame): SplitFrame {
  const last = payloadOf(frame)
  const head = writeHead(frame, HEAD_BYTES).view()
  return { head, payload: last, length: head.length + last.length }
}

/** Total over hostile input: returns a frame or throws `DecodeError`, nothing else. The frame shares no memory with `input`. */
export function decodeFrame(input: Uint8Array): Frame {
  const read = new ByteReader(input)
  const tag = read.u8()
  const type = TYPES[tag - 1]
  if (type === undefined) throw new DecodeError("unknown-tag", `frame ${tag}`)
  const frame = { type, ...BODIES[type].read(read) } as Frame
  read.end()
  return frame
}

/** All of a frame but its payload. */
function writeHead(frame: Frame, capacity: number): ByteWriter {
  const write = new ByteWriter(capacity).u8(TYPES.indexOf(frame.type) + 1)
  ;(BODIES[frame.type] as Field<Frame>).write(write, frame)
  return write
}

/** The application data at the end of a frame, if it carries any. */
function payloadOf(frame: Frame): Uint8Array {
  if (frame.type === "data" || frame.type === "push") return frame.delta
  return frame.type === "chunk" || frame.type === "fragment" ? frame.bytes : NO_BYTES
}

type Bodies = {
  readonly [Type in Frame["type"]]: Field<Omit<Extract<Frame, { readonly type: Type }>, "type">>
}

const MAX_U32 = 0xffff_ffff
/** Holds the head of most frames. Runtimes keep buffers of this size in their own heap, and allocate longer ones outside it. */
const HEAD_BYTES = 64
const HOLDINGS: readonly Holding[] = ["synced", "no-peers", "refused", "pending"]
const DIRECTIONS: readonly AnnounceFrame["direction"][] = ["both", "send-only", "receive-only"]

const VERSION: Field<number> = {
  write: U8.write,
  read(from) {
    const version = from.u8()
    // Nothing after an unknown version can be trusted to mean what it means here.
    if (version !== limits.PROTOCOL_VERSION) throw new DecodeError("unknown-version", `${version}`)
    return version
  },
}
const SLOT = varint(limits.MAX_SLOTS - 1)
const KEY = text(limits.MAX_KEY_BYTES)
const SESSION = bytes(limits.SESSION_ID_BYTES)
const POSITION = bytes(limits.POSITION_BYTES)
const DIGEST = bytes(limits.DIGEST_BYTES)
/** Cut when it is written: an index holds whole digests. */
const SHORT_DIGEST: Field<Uint8Array> = {
  ...bytes(limits.SHORT_DIGEST_BYTES),
  write: (to, digest) => void to.bytes(digest.subarray(0, limits.SHORT_DIGEST_BYTES)),
}
const DEVICE = bytes(limits.DEVICE_KEY_BYTES)
const BLOB = bytes(limits.BLOB_DIGEST_BYTES)
const REASON = text(limits.MAX_REASON_BYTES)
const DELTA = payload(Infinity, "entry")
const CHUNK_INDEX = varint(limits.MAX_BLOB_BYTES / limits.CHUNK_BYTES)
const POSITIONS = list(POSITION, limits.MAX_ITEMS, limits.POSITION_BYTES)
const PRESENCE = optional(rest(limits.MAX_PRESENCE_BYTES, "presence"))
const BITMAP = checked(rest(Infinity, "bitmap"), ({ length }) => length > 0 && length <= 1_024, "bitmap")
const ALONE = struct({ slot: SLOT })
const HELD = struct({ slot: SLOT, items: items(struct({ position: POSITION, digest: SHORT_DIGEST }), 24) })
const NONCE = struct({ nonce: U32 })

const ROOT: Field<RootItem> = {
  write(to, { slot, count, root, settled, answer, agreed }) {
    const flags = (settled ? 1 : 0) | (answer ? 2 : 0) | (agreed ? 4 : 0)
    to.varint(slot).varint(count).bytes(root).u8(flags)
  },
  read(from) {
    const slot = SLOT.read(from)
    const count = from.varint(MAX_U32)
    const root = DIGEST.read(from)
    const flags = from.u8()
    if (flags > 7) throw new DecodeError("bad-value", "flags")
    const [settled, answer, agreed] = [(flags & 1) !== 0, (flags & 2) !== 0, (flags & 4) !== 0]
    return { slot, count, root, settled, answer, agreed }
  },
}

/** A tag on the wire is a position in this table, counted from one, so new types go at the end. */
const BODIES: Bodies = {
  hello: struct({
    version: VERSION,
    session: SESSION,
    maxMessageBytes: checked(U32, (cap) => cap >= limits.MIN_MESSAGE_BYTES, "message cap"),
    refusesEntries: FLAG,
  }),
  announce: struct({
    slot: SLOT,
    name: checked(text(limits.MAX_NAME_BYTES), (name) => name !== "", "empty name"),
    kind: U8,
    schemaTag: text(limits.MAX_NAME_BYTES),
    direction: oneOf(DIRECTIONS, "direction"),
    count: varint(MAX_U32),
    root: DIGEST,
    basis: optional(DIGEST),
  }),
  withdraw: ALONE,
  range: struct({
    slot: SLOT,
    salt: U32,
    sequence: varint(MAX_U32),
    reply: FLAG,
    grant: varint(limits.MAX_GRANT_BYTES),
    records: rest(limits.MAX_RANGE_BYTES, "range"),
  }),
  "range-ack": struct({
    slot: SLOT,
    salt: U32,
    sequence: varint(MAX_U32),
    answered: varint(limits.MAX_GRANT_BYTES),
    later: FLAG,
  }),
  offer: HELD,
  want: struct({
    slot: SLOT,
    items: items(struct({ position: POSITION, summary: block(limits.MAX_SUMMARY_BYTES) }), 17),
  }),
  data: struct({ slot: SLOT, kind: U8, key: KEY, digest: SHORT_DIGEST, delta: DELTA }),
  push: struct({
    slot: SLOT,
    kind: U8,
    key: KEY,
    before: SHORT_DIGEST,
    after: SHORT_DIGEST,
    delta: DELTA,
  }),
  have: HELD,
  ack: struct({ control: varint(), bulk: varint() }),
  nak: struct({
    slot: SLOT,
    items: items(struct({ position: POSITION, digest: SHORT_DIGEST, again: FLAG, reason: REASON }), 26),
  }),
  root: struct({ roots: list(ROOT, limits.MAX_REPLICAS, 19) }),
  credit: struct({ total: varint() }),
  links: struct({ sessions: list(SESSION, limits.MAX_LINKS_ANNOUNCED, limits.SESSION_ID_BYTES) }),
  presence: struct({ value: PRESENCE }),
  "chunk-want": struct({
    slot: SLOT,
    position: POSITION,
    blob: BLOB,
    size: varint(limits.MAX_BLOB_BYTES),
    first: CHUNK_INDEX,
    bitmap: BITMAP,
  }),
  chunk: struct({
    slot: SLOT,
    position: POSITION,
    blob: BLOB,
    index: CHUNK_INDEX,
    bytes: payload(limits.CHUNK_BYTES, "chunk"),
  }),
  ping: NONCE,
  pong: NONCE,
  fragment: checked(
    struct({
      size: varint(limits.MAX_ENTRY_BYTES + limits.MAX_KEY_BYTES + 64),
      bytes: payload(Infinity, "fragment"),
    }),
    ({ size, bytes: { length } }) => length > 0 && length < size,
    "fragment",
  ),
  bye: struct({ reason: REASON }),
  prune: ALONE,
  "presence-relay": struct({
    session: SESSION,
    device: DEVICE,
    sequence: varint(),
    ageMs: varint(MAX_U32),
    signature: bytes(limits.SIGNATURE_BYTES),
    value: PRESENCE,
  }),
  "synced-want": struct({
    nonce: U32,
    over: FLAG,
    slots: list(SLOT, limits.MAX_REPLICAS, 1),
    positions: POSITIONS,
  }),
  "synced-answer": struct({
    nonce: U32,
    devices: list(
      struct({ device: DEVICE, holding: oneOf(HOLDINGS, "holding") }),
      limits.MAX_LINKS_ANNOUNCED,
      limits.DEVICE_KEY_BYTES + 1,
    ),
  }),
  withheld: struct({ slot: SLOT, positions: POSITIONS }),
}

const TYPES = Object.keys(BODIES) as readonly Frame["type"][]

function items<Item>(item: Field<Item>, minBytes: number): Field<readonly Item[]> {
  return list(item, limits.MAX_ITEMS, minBytes)
}
