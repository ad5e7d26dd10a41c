/**
 * SHA-256 by the platform: 32 characters, one a byte (`mapKeyBytes`), which costs it less than making an array. Null where
 * the platform answers only later, as browsers do.
 */
export const nativeSha256: ((message: Uint8Array) => string) | null = findNative()

interface NodeCrypto {
  hash?(algorithm: "sha256", message: Uint8Array, encoding: "binary"): unknown
}

function findNative(): ((message: Uint8Array) => string) | null {
  // oxlint-disable-next-line no-restricted-globals -- looked at once, for the same function in a fifth of the time
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): NodeCrypto | undefined }
  }
  const hash = process?.getBuiltinModule?.("node:crypto")?.hash
  if (hash === undefined) return null
  const native = (message: Uint8Array): string => hash("sha256", message, "binary") as string
  // Other runtimes copy Node's modules, and not all of them to the letter.
  return native(new Uint8Array(0)).length === 32 ? native : null
}
