import { mapKeyBytes } from "../map-key.ts"
import { nativeSha256 } from "../native-sha256.ts"
import { createSha256 } from "../sha256.ts"

// One hasher serves every call, since calls are synchronous: a hasher for each call was most of the garbage of a first sync.
const pristine = createSha256()
const working = createSha256()

const HASH_BYTES = 32
/** Two parts of at most this many bytes together are copied into a shared buffer: the platform's hash takes only one. */
const JOINED_BYTES = 65_536
const joined = new Uint8Array(JOINED_BYTES)

/** The first `length` bytes of the SHA-256 of `message`, or of `message` followed by `rest`. */
export function contentHash(
  message: Uint8Array,
  rest?: Uint8Array,
  length: number = HASH_BYTES,
): Uint8Array<ArrayBuffer> {
  if (nativeSha256 !== null)
    return mapKeyBytes(nativeSha256(rest === undefined ? message : inOne(message, rest)).slice(0, length))
  const hash = pristine._cloneInto(working).update(message)
  const digest = (rest === undefined ? hash : hash.update(rest)).digest()
  return length === HASH_BYTES ? digest : digest.slice(0, length)
}

/** The result is valid until the next call. */
function inOne(message: Uint8Array, rest: Uint8Array): Uint8Array {
  const size = message.length + rest.length
  const whole = size <= JOINED_BYTES ? joined : new Uint8Array(size)
  whole.set(message)
  whole.set(rest, message.length)
  return whole.length === size ? whole : whole.subarray(0, size)
}
