/** Bytes as a string with one character per byte, the cheapest key for a Map. Not for people or logs. */
export function keyOfBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")
}

export function bytesOfKey(key: string): Uint8Array {
  return Buffer.from(key, "latin1")
}
