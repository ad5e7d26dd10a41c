const HEX = "0123456789abcdef"
/** `String.fromCharCode` takes its arguments from the stack, whose size is limited. */
const BASE64_STEP = 0x6000

/** For a hash or an id: `bytes` must fit an argument list. */
export function hexFromBytes(bytes: Uint8Array): string {
  const codes: number[] = []
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    codes.push(HEX.charCodeAt(byte >>> 4), HEX.charCodeAt(byte & 15))
  }
  // In one call: a string built letter by letter stays a chain of fragments in every row that holds it.
  return String.fromCharCode.apply(null, codes)
}

/** The inverse for text this package wrote itself; anything else gives bytes that match nothing. */
export function bytesFromHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length >> 1)
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = (digit(text.charCodeAt(index * 2)) << 4) | digit(text.charCodeAt(index * 2 + 1))
  return bytes
}

/** Uses the platform's encoder where there is one: an index of several megabytes passes through here. */
export function base64FromBytes(bytes: Uint8Array): string {
  const native = bytes as Uint8Array & { readonly toBase64?: () => string }
  if (native.toBase64 !== undefined) return native.toBase64()
  if (typeof Buffer !== "undefined")
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")
  let binary = ""
  for (let at = 0; at < bytes.length; at += BASE64_STEP)
    binary += String.fromCharCode(...bytes.subarray(at, at + BASE64_STEP))
  return btoa(binary)
}

export function bytesFromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index)
  return bytes
}

function digit(code: number): number {
  return code <= 57 ? code - 48 : code - 87
}
