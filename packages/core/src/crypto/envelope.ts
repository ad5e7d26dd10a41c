import { concatBytes } from "@noble/hashes/utils.js"
import type { Random } from "../ports/random.ts"
import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { seal, unseal } from "./primitives.ts"

/**
 * All that a signaling server sees of the messages between two members that are not connected yet:
 *
 *     0 version | 1 type | 2 epoch u32 | 6 from 16 | 22 to 16            header, 38 bytes
 *     38 nonce 12 | 50 AES-GCM(signalKey, body, AAD = header ‖ topic)
 *     body = length u32 | connection id 8 | payload | zeros up to 512, 1024, … 16384
 */
export type EnvelopeType = "offer" | "answer" | "candidates" | "hang-up" | "call-me"

export interface Envelope {
  readonly type: EnvelopeType
  readonly from: Uint8Array
  readonly to: Uint8Array
  /** 8 bytes that tell one attempt to connect from the next. */
  readonly connection: Uint8Array
  readonly payload: Uint8Array
}

/** Why an envelope was dropped. Nothing of it was parsed beyond the point that failed. */
export type EnvelopeDefect =
  | "bad-length"
  | "unknown-version"
  | "unknown-type"
  | "wrong-epoch"
  | "not-for-me"
  | "from-myself"
  | "wrong-sender" // the server says it comes from somebody else
  | "replayed"
  | "forged" // not sealed by a member of this room for this topic
  | "bad-body"

export interface EnvelopeContext {
  readonly signalKey: CryptoKey
  readonly topic: Uint8Array
  readonly epoch: number
  /** The peer id of this session. */
  readonly self: Uint8Array
}

export interface EnvelopeOpener {
  /** `from` is the sender according to the server. */
  open(bytes: Uint8Array, from: Uint8Array): Promise<Envelope | EnvelopeDefect>
}

const VERSION = 1
const HEADER_BYTES = 38
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CONNECTION_BYTES = 8
/** The payload's length, 4, and the connection id, 8. */
const BODY_HEAD_BYTES = 12
const BODY_SIZES = [512, 1024, 2048, 4096, 8192, 16_384] as const
export const MAX_PAYLOAD_BYTES: number = 16_384 - BODY_HEAD_BYTES
const NONCE_CACHE = 4096

/** A type's number is its place, counted from one. */
const TYPES: readonly EnvelopeType[] = ["offer", "answer", "candidates", "hang-up", "call-me"]

/** Throws `RangeError` when the payload is too long to be sealed. */
export async function sealEnvelope(
  context: EnvelopeContext,
  message: Omit<Envelope, "from">,
  random: Random,
): Promise<Uint8Array<ArrayBuffer>> {
  const { payload } = message
  const size = BODY_SIZES.find((bytes) => bytes >= payload.length + BODY_HEAD_BYTES)
  if (size === undefined) throw new RangeError(`an envelope holds at most ${MAX_PAYLOAD_BYTES} bytes`)
  const body = new Uint8Array(size)
  body.set(new ByteWriter(size).u32(payload.length).bytes(message.connection).bytes(payload).view())
  const header = new ByteWriter(HEADER_BYTES)
    .u8(VERSION)
    .u8(TYPES.indexOf(message.type) + 1)
    .u32(context.epoch)
    .bytes(context.self)
    .bytes(message.to)
    .finish()
  const nonce = random.bytes(NONCE_BYTES)
  const sealed = await seal(context.signalKey, nonce, body, concatBytes(header, context.topic))
  return new ByteWriter(HEADER_BYTES + NONCE_BYTES + sealed.length)
    .bytes(header)
    .bytes(nonce)
    .bytes(sealed)
    .finish()
}

/** Opens what is meant for this session, each envelope once. Cheap checks come first; nothing sealed is parsed before it is opened. */
export function createEnvelopeOpener(context: EnvelopeContext): EnvelopeOpener {
  const seenNonces = new Set<string>()

  return {
    async open(bytes, from) {
      const defect = checkHeader(bytes, from, context)
      if (defect !== null) return defect
      const nonce = bytes.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
      const nonceHex = bytesToHex(nonce)
      if (seenNonces.has(nonceHex)) return "replayed"
      const header = bytes.subarray(0, HEADER_BYTES)
      const sealed = bytes.subarray(HEADER_BYTES + NONCE_BYTES)
      const body = await unseal(context.signalKey, nonce, sealed, concatBytes(header, context.topic))
      if (body === null) return "forged"
      // Only authentic nonces are remembered, so that a flood of forgeries cannot push them out.
      if (seenNonces.has(nonceHex)) return "replayed"
      remember(seenNonces, nonceHex)
      return parseBody(body, header)
    },
  }
}

function checkHeader(bytes: Uint8Array, from: Uint8Array, context: EnvelopeContext): EnvelopeDefect | null {
  const bodyBytes = bytes.length - HEADER_BYTES - NONCE_BYTES - TAG_BYTES
  if (!BODY_SIZES.some((size) => size === bodyBytes)) return "bad-length"
  const read = new ByteReader(bytes)
  if (read.u8() !== VERSION) return "unknown-version"
  if (TYPES[read.u8() - 1] === undefined) return "unknown-type"
  if (read.u32() !== context.epoch) return "wrong-epoch"
  const sender = read.bytes(16)
  if (sameBytes(sender, context.self)) return "from-myself"
  if (!sameBytes(sender, from)) return "wrong-sender"
  return sameBytes(read.bytes(16), context.self) ? null : "not-for-me"
}

function parseBody(body: Uint8Array, header: Uint8Array): Envelope | EnvelopeDefect {
  const read = new ByteReader(body)
  const length = read.u32()
  const connection = read.bytes(CONNECTION_BYTES)
  if (length > read.remaining) return "bad-body"
  const payload = read.bytes(length)
  if (read.rest().some((byte) => byte !== 0)) return "bad-body"
  const type = TYPES[(header[1] ?? 0) - 1]
  if (type === undefined) return "unknown-type"
  return { type, from: header.slice(6, 22), to: header.slice(22, 38), connection, payload }
}

/** A set keeps its order of insertion: the first is the oldest. */
function remember(nonces: Set<string>, nonce: string): void {
  nonces.add(nonce)
  const [oldest] = nonces
  if (oldest !== undefined && nonces.size > NONCE_CACHE) nonces.delete(oldest)
}
