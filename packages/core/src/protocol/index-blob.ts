import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import { createEntryPack, type EntryPack } from "./entry-words.ts"
import type { FingerprintIndex } from "./fingerprint-index.ts"
import { sameBytes } from "./same-bytes.ts"
import { sha256 } from "./sha256.ts"
import { encodeUtf8 } from "./utf8.ts"

/** A stored index: what an attached replica held up to `cursor`, in the room named by `roomTag`. */
export interface IndexBlob {
  /** 32 bytes. */
  readonly roomTag: Uint8Array
  readonly cursor: Uint8Array
  /** For `FingerprintIndex.build`. */
  readonly entries: EntryPack
}

const VERSION = 2
const ROOM_TAG_BYTES = 32
const CHECKSUM_BYTES = 16
const ENTRY_BYTES = 32
const MAX_CURSOR_BYTES = 65_536
const MAX_BLOB_ENTRIES = 8_388_608
/** Keys are decoded as one string, which no engine makes longer than 2^29 characters. */
const MAX_KEYS_BYTES = 268_435_456

/**
 * Version, room tag, cursor preceded by its length, count; then 32 bytes of position and digest for each entry; then
 * the length of each key in UTF-16 units, and all keys as one text; then a checksum, 16 bytes of SHA-256.
 *
 * Without the checksum, an index with a damaged position or key would stay wrong although its root is right. Keys decode
 * ten times faster as one text than one by one.
 */
export function encodeIndexBlob({
  roomTag,
  cursor,
  index,
}: Pick<IndexBlob, "roomTag" | "cursor"> & {
  readonly index: FingerprintIndex
}): Uint8Array<ArrayBuffer> {
  if (roomTag.length !== ROOM_TAG_BYTES || cursor.length > MAX_CURSOR_BYTES) {
    throw new RangeError("a room tag has 32 bytes, a cursor at most 64 KiB")
  }
  const entries = new Uint8Array(index.count * ENTRY_BYTES)
  const keys: string[] = []
  index.forEachIn(0, 0, (position, digest, key) => {
    entries.set(position, keys.length * ENTRY_BYTES)
    entries.set(digest, keys.length * ENTRY_BYTES + 16)
    keys.push(key)
  })
  const text = encodeUtf8(keys.join(""))
  const write = new ByteWriter(256 + cursor.length + entries.length + keys.length * 2 + text.length)
  write.u8(VERSION).bytes(roomTag).block(cursor).varint(keys.length).bytes(entries)
  for (const key of keys) write.varint(key.length)
  write.block(text)
  return write.bytes(sha256(write.view()).subarray(0, CHECKSUM_BYTES)).finish()
}

/** Total over damaged input: returns a whole and consistent blob or throws `DecodeError`. */
export function decodeIndexBlob(input: Uint8Array): IndexBlob {
  const body = new ByteReader(input.subarray(0, Math.max(0, input.length - CHECKSUM_BYTES)))
  if (body.u8() !== VERSION) throw new DecodeError("unknown-version")
  const roomTag = body.copy(ROOM_TAG_BYTES)
  const cursor = body.block(MAX_CURSOR_BYTES).slice()
  const count = body.count(MAX_BLOB_ENTRIES, ENTRY_BYTES + 1)
  const hashed = body.bytes(count * ENTRY_BYTES)
  const lengths = readKeyLengths(body, count)
  const text = body.text(MAX_KEYS_BYTES)
  body.end()
  assertChecksum(input)
  return { roomTag, cursor, entries: packEntries(hashed, lengths, text) }
}

function readKeyLengths(body: ByteReader, count: number): Uint32Array {
  const lengths = new Uint32Array(count)
  for (let index = 0; index < count; index++) lengths[index] = body.varint(MAX_KEYS_BYTES)
  return lengths
}

function assertChecksum(input: Uint8Array): void {
  const end = input.length - CHECKSUM_BYTES
  const checksum = sha256(input.subarray(0, end)).subarray(0, CHECKSUM_BYTES)
  if (!sameBytes(checksum, input.subarray(end))) throw new DecodeError("bad-value", "checksum")
}

function packEntries(hashed: Uint8Array, lengths: Uint32Array, text: string): EntryPack {
  const pack = createEntryPack(lengths.length)
  let from = 0
  for (let index = 0; index < lengths.length; index++) {
    const at = index * ENTRY_BYTES
    const end = from + (lengths[index] as number)
    if (end > text.length) throw new DecodeError("truncated", "keys")
    pack.add(hashed.subarray(at, at + 16), hashed.subarray(at + 16, at + ENTRY_BYTES), text.slice(from, end))
    from = end
  }
  if (from !== text.length) throw new DecodeError("trailing-bytes", "keys")
  return pack
}
