import { _SHA256 } from "@noble/hashes/sha2.js"

/** Incremental SHA-256. */
export type Sha256 = _SHA256

/** Uses the class behind the library's `sha256`: with the function around it, pages would load twice as much code for it. */
export function createSha256(): Sha256 {
  return new _SHA256()
}

/** 32 bytes. */
export function sha256(message: Uint8Array): Uint8Array {
  return createSha256().update(message).digest()
}
