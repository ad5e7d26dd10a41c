import { sha256 } from "@noble/hashes/sha2.js"

// One hasher serves every call, since none of them waits: making hashers was most of the garbage of a first sync.
const pristine = sha256.create()
const working = sha256.create()

interface NativeHash {
  update(bytes: Uint8Array): NativeHash
  digest(): Uint8Array
}

/** Node's own is twenty times as fast, once a message is long enough for the call. Browsers have none that answers at once. */
const createNative = findNative()
const NATIVE_FROM_BYTES = 512

/** SHA-256 of a message, 32 bytes; with `rest` of the two one after the other. */
export function contentHash(message: Uint8Array, rest?: Uint8Array): Uint8Array<ArrayBuffer> {
  if (createNative !== null && message.length + (rest?.length ?? 0) >= NATIVE_FROM_BYTES) {
    const native = createNative("sha256").update(message)
    // A plain array: Node's buffers share memory and slice otherwise.
    return new Uint8Array((rest === undefined ? native : native.update(rest)).digest())
  }
  const hash = pristine._cloneInto(working).update(message)
  return (rest === undefined ? hash : hash.update(rest)).digest()
}

function findNative(): ((algorithm: "sha256") => NativeHash) | null {
  // oxlint-disable-next-line no-restricted-globals -- looked at once, for the same function in less time
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): { createHash(algorithm: string): NativeHash } | undefined }
  }
  return process?.getBuiltinModule?.("node:crypto")?.createHash ?? null
}
