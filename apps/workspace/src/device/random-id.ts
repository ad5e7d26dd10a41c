const ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

/** `length` random base-36 characters. Works on insecure pages too, where `crypto.randomUUID` is missing. */
export function randomId(length = 16): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length))
  return Array.from(bytes, (byte) => ALPHABET[byte % ALPHABET.length]).join("")
}
