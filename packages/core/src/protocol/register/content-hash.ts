import { sha256 } from "@noble/hashes/sha2.js"

// One hasher serves every call, since none of them waits: making hashers was most of the garbage of a first sync.
const pristine = sha256.create()
const working = sha256.create()

/** SHA-256 of a short message, 32 bytes. */
export function contentHash(message: Uint8Array): Uint8Array<ArrayBuffer> {
  return pristine._cloneInto(working).update(message).digest()
}
