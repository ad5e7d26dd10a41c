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
