import { exportRaw, generateSigningKey, sign } from "./primitives.ts"

/** Where a device keeps the key that names it inside its rooms. Load it as often as you like: it is the same key. */
export interface Identity {
  /** Rejects with `IdentityError`. */
  load(): Promise<DeviceKey>
}

export interface DeviceKey {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Promise<Uint8Array>
}

export type IdentityErrorCode =
  | "no-storage" // neither IndexedDB nor a file system
  | "storage-failed"
  | "damaged-key"
  | "exposed-key" // others may read the key file

export class IdentityError extends Error {
  override readonly name = "IdentityError"
  readonly code: IdentityErrorCode

  constructor(code: IdentityErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** A device that is gone with the process: for tests and for short-lived jobs. */
export function memoryIdentity(): Identity {
  let key: Promise<DeviceKey> | null = null
  return {
    load() {
      key ??= generateSigningKey().then(deviceKey)
      return key
    },
  }
}

export async function deviceKey(pair: CryptoKeyPair): Promise<DeviceKey> {
  const publicKey = await exportRaw(pair.publicKey)
  return { publicKey, sign: (message) => sign(pair.privateKey, message) }
}
