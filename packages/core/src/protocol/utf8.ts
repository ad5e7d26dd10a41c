// The encoding API is in every JavaScript runtime but in no ECMAScript library, and this folder compiles
// without DOM and Node types: these two declarations are all that it takes from outside.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label: "utf-8", options: { readonly fatal: boolean; readonly ignoreBOM: boolean })
  decode(bytes: Uint8Array): string
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Below this a loop beats the call into the platform. */
const SHORT_TEXT = 48

export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  if (text.length > SHORT_TEXT) return encoder.encode(text)
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 0x7f) return encoder.encode(text)
    bytes[at] = unit
  }
  return bytes
}

/** Throws a `TypeError` on malformed UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length > SHORT_TEXT) return decoder.decode(bytes)
  for (let at = 0; at < bytes.length; at++) if ((bytes[at] as number) > 0x7f) return decoder.decode(bytes)
  // In one call: a string concatenated letter by letter is a chain, which every use of it must walk.
  return String.fromCharCode.apply(null, bytes as unknown as number[])
}
