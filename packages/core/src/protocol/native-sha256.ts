/**
 * The platform's synchronous SHA-256. It returns 32 characters, one per byte (see `mapKeyBytes`), which is cheaper than
 * an array. Null where the platform hashes only asynchronously, as browsers do.
 */
export const nativeSha256: ((message: Uint8Array) => string) | null = findNative()

interface NodeCrypto {
  hash?(algorithm: "sha256", message: Uint8Array, encoding: "binary"): unknown
}

function findNative(): ((message: Uint8Array) => string) | null {
  // oxlint-disable-next-line no-restricted-globals -- read once, for the same hash in a fifth of the time
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): NodeCrypto | undefined }
  }
  const hash = process?.getBuiltinModule?.("node:crypto")?.hash
  if (hash === undefined) return null
  const native = (message: Uint8Array): string => hash("sha256", message, "binary") as string
  // Other runtimes imitate Node's modules, and not all of them exactly.
  return native(new Uint8Array(0)).length === 32 ? native : null
}
