/** One empty array for every field, summary and salt that has no bytes. */
export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0)

/** Not in constant time: for digests and ids, never for secrets. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && startsWithBytes(a, b)
}

export function sameDigest(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : sameBytes(a, b)
}

/** Whether `whole` begins with `prefix`. */
export function startsWithBytes(whole: Uint8Array, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (whole[index] !== prefix[index]) return false
  return true
}
