import { afterEach, expect, test, vi } from "vitest"
import { contentHash } from "./register/content-hash.ts"
import { createKeyedDigest } from "./keyed-digest.ts"
import { nativeSha256 } from "./native-sha256.ts"

afterEach(() => {
  vi.restoreAllMocks()
  vi.resetModules()
})

/** The same modules on a platform without a synchronous hash, or with one of another kind. */
async function without(hash: unknown) {
  vi.spyOn(process, "getBuiltinModule").mockReturnValue({ hash } as never)
  vi.resetModules()
  const { contentHash: hashed } = await import("./register/content-hash.ts")
  const { createKeyedDigest: keyed } = await import("./keyed-digest.ts")
  const { nativeSha256: native } = await import("./native-sha256.ts")
  return { hashed, keyed, native }
}

test.each([undefined, () => new Uint8Array(32).subarray(1), () => "ff".repeat(32)])(
  "hashes are the same without the platform's %s",
  async (hash) => {
    expect(nativeSha256).not.toBeNull()
    const { hashed, keyed, native } = await without(hash)
    expect(native).toBeNull()
    for (const length of [0, 1, 16, 63, 64, 200, 4_095, 5_000]) {
      const message = Uint8Array.from({ length }, (_, index) => (index * 31) % 251)
      expect(hashed(message)).toEqual(contentHash(message))
      expect(hashed(message, message)).toEqual(contentHash(message, message))
      expect(hashed(message, message, 16)).toEqual(contentHash(message, message).slice(0, 16))
      expect(contentHash(message, message, 16)).toEqual(contentHash(message, message).slice(0, 16))
    }
    const key = new Uint8Array(32).fill(7)
    for (const name of ["", "a key", "ключ".repeat(200)]) {
      expect(keyed(key).position(name)).toEqual(createKeyedDigest(key).position(name))
      expect(keyed(key).digest(3, name, key)).toEqual(createKeyedDigest(key).digest(3, name, key))
    }
  },
)
