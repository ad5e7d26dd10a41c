import { exportRaw, generateSigningKey, sign } from "./primitives.ts"

/** Where a device keeps the key that names it inside its rooms. Every load gives the same key. */
export interface Identity {
  /** Rejects with `IdentityError`. */
  load(): Promise<DeviceKey>
}

/** The key pair of a device; only its public half can be seen. */
export interface DeviceKey {
  /** Ed25519 (RFC 8032), 32 bytes: in hex, `room.device`. */
  readonly publicKey: Uint8Array
  /** Resolves with the signature, 64 bytes. */
  sign(message: Uint8Array): Promise<Uint8Array>
}

/** Match this, not the message. */
export type IdentityErrorCode =
  /** `fileIdentity` was used outside of Node. */
  | "no-storage"
  /** IndexedDB or the file cannot be opened, read or written; `cause` says why. */
  | "storage-failed"
  /** What is stored is not a key. Delete it to become a new device. */
  | "damaged-key"
  /** Other users of the machine may read the key file. */
  | "exposed-key"

/** Why a device has no key; `openRoom` rejects with `RoomError` "identity-unavailable", and has this as its cause. */
export class IdentityError extends Error {
  override readonly name = "IdentityError"
  readonly code: IdentityErrorCode

  constructor(code: IdentityErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** A device that exists only as long as the process: for tests and short-lived jobs. */
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
