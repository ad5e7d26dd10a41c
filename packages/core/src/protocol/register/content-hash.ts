import { createSha256 } from "../sha256.ts"
import { mapKeyBytes } from "../map-key.ts"
import { nativeSha256 } from "../native-sha256.ts"

// One hasher serves every call, since none of them waits: making hashers was most of the garbage of a first sync.
const pristine = createSha256()
const working = createSha256()

const HASH_BYTES = 32
/** Two parts up to this are put together in one place for the platform's hash, which takes one. */
const JOINED_BYTES = 65_536
const joined = new Uint8Array(JOINED_BYTES)

/** The first bytes of the SHA-256 of a message, all 32 of them by default; with `rest` of the two one after the other. */
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

/** Good until the next call. */
function inOne(message: Uint8Array, rest: Uint8Array): Uint8Array {
  const size = message.length + rest.length
  const whole = size <= JOINED_BYTES ? joined : new Uint8Array(size)
  whole.set(message)
  whole.set(rest, message.length)
  return whole.length === size ? whole : whole.subarray(0, size)
}
