import { _SHA256 } from "@noble/hashes/sha2.js"

/** SHA-256 in steps. */
export type Sha256 = _SHA256

/** By the class behind the library's `sha256`: the function around it comes with as much code again, which pages would load. */
export function createSha256(): Sha256 {
  return new _SHA256()
}

/** 32 bytes. */
export function sha256(message: Uint8Array): Uint8Array {
  return createSha256().update(message).digest()
}
