import { MAX_KEY_BYTES } from "./limits.ts"
import { encodeUtf8 } from "./utf8.ts"

/**
 * Why an entry with this key cannot be replicated, in words; null when it can. Peers end the link over a key that is too long,
 * and UTF-8 has no form for half a surrogate pair: two such keys would become one.
 */
export function problemOfKey(key: string): string | null {
  if (key.length * 3 > MAX_KEY_BYTES && encodeUtf8(key).length > MAX_KEY_BYTES) {
    return `the key takes more than ${MAX_KEY_BYTES} bytes, so the entry stays on this device. Use a shorter key.`
  }
  if (/\p{Surrogate}/u.test(key)) {
    return "the key is not well-formed text (half a surrogate pair), so the entry stays on this device. Use another key."
  }
  return null
}
