import { ByteWriter } from "./byte-writer.ts"
import { mapKeyBytes } from "./map-key.ts"
import { nativeSha256 } from "./native-sha256.ts"
import { createSha256 } from "./sha256.ts"
import { encodeUtf8 } from "./utf8.ts"

/**
 * Turns keys and states of entries into what the index holds, keyed so that nobody outside the room can craft two
 * entries that collide.
 *
 * Both results are the first 16 bytes of a SHA-256. Its first 64-byte block is the 32-byte digest key followed by a label
 * that is padded with zeros to 32 bytes, so this block is hashed only once. Then come
 *
 * - for `position`, label "dunlin position": the key in UTF-8;
 * - for `digest`, label "dunlin digest": one byte of kind, the length of the key in UTF-8 as a varint, the key, and the
 *   state hash of 32 bytes.
 */
export interface KeyedDigest {
  position(key: string): Uint8Array<ArrayBuffer>
  digest(kind: number, key: string, stateHash: Uint8Array): Uint8Array<ArrayBuffer>
}

const OUTPUT_BYTES = 16
const HASH_BYTES = 32

/** Takes the digest key of a room: 32 bytes. */
export function createKeyedDigest(digestKey: Uint8Array): KeyedDigest {
  const positions = absorbed(digestKey, "dunlin position")
  const digests = absorbed(digestKey, "dunlin digest")
  const write = new ByteWriter(256)
  return {
    position: (key) => positions(encodeUtf8(key)),
    digest(kind, key, stateHash) {
      if (stateHash.length !== HASH_BYTES) throw new RangeError("a state hash has 32 bytes")
      return digests(write.reset().u8(kind).text(key).bytes(stateHash).view())
    },
  }
}

function absorbed(digestKey: Uint8Array, label: string): (message: Uint8Array) => Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(2 * HASH_BYTES)
  block.set(digestKey)
  block.set(encodeUtf8(label), HASH_BYTES)
  if (nativeSha256 !== null) {
    const native = nativeSha256
    const write = new ByteWriter(256)
    return (message) =>
      mapKeyBytes(native(write.reset().bytes(block).bytes(message).view()).slice(0, OUTPUT_BYTES))
  }
  const start = createSha256().update(block)
  // One hasher serves every call, since calls are synchronous: making a hasher costs as much as hashing with it.
  const working = createSha256()
  return (message) => start._cloneInto(working).update(message).digest().slice(0, OUTPUT_BYTES)
}
