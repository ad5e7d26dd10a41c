/** Not in constant time: for digests and ids, never for secrets. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && startsWithBytes(a, b)
}

/** Whether `whole` begins with `prefix`. */
export function startsWithBytes(whole: Uint8Array, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (whole[index] !== prefix[index]) return false
  return true
}

/** A string that stands for the bytes as the key of a Map. Not for people, not for the wire. */
export function mapKey(bytes: Uint8Array): string {
  // Spreading a typed array walks its iterator: ten times slower than an array-like argument list.
  return String.fromCharCode.apply(null, bytes as unknown as number[])
}

export function mapKeyBytes(key: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(key.length)
  for (let at = 0; at < key.length; at++) bytes[at] = key.charCodeAt(at)
  return bytes
}

export function bytesToHex(bytes: Uint8Array): string {
  let hex = ""
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0")
  return hex
}

/** Throws a `RangeError` unless it is hex digits in pairs. */
export function hexToBytes(hex: string): Uint8Array<ArrayBuffer> {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) throw new RangeError("not hex digits in pairs")
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  )
}
