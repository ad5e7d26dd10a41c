import { concatBytes } from "@noble/hashes/utils.js"
import { encodeUtf8 } from "../protocol/utf8.ts"

/**
 * The one place that speaks to WebCrypto. Fixed suite: X25519, Ed25519, HKDF-SHA-256, AES-256-GCM.
 * Nothing here decides what is derived from what; see `key-schedule.ts` and `handshake.ts`.
 */

/** Every label begins with protocol and version, so that keys of others can never coincide with these. */
export function label(name: string): Uint8Array<ArrayBuffer> {
  return encodeUtf8(`dunlin/1 ${name}`)
}

export async function hkdf(
  key: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const material = await subtle().importKey("raw", source(key), "HKDF", false, ["deriveBits"])
  const params = { name: "HKDF", hash: "SHA-256", salt: source(salt), info: source(info) }
  return new Uint8Array(await subtle().deriveBits(params, material, 256))
}

export function importAesKey(raw: Uint8Array): Promise<CryptoKey> {
  return subtle().importKey("raw", source(raw), "AES-GCM", false, ["encrypt", "decrypt"])
}

export async function seal(
  key: CryptoKey,
  nonce: Uint8Array,
  plain: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const params = { name: "AES-GCM", iv: source(nonce), additionalData: source(aad) }
  return new Uint8Array(await subtle().encrypt(params, key, source(plain)))
}

/** Null when the ciphertext was not made with this key, nonce and AAD. */
export async function unseal(
  key: CryptoKey,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const params = { name: "AES-GCM", iv: source(nonce), additionalData: source(aad) }
  try {
    return new Uint8Array(await subtle().decrypt(params, key, source(sealed)))
  } catch {
    return null
  }
}

export interface EphemeralKey {
  readonly publicKey: Uint8Array<ArrayBuffer>
  readonly privateKey: CryptoKey
}

export async function generateEphemeralKey(): Promise<EphemeralKey> {
  const pair = await subtle().generateKey("X25519", false, ["deriveBits"])
  return { publicKey: await exportRaw(pair.publicKey), privateKey: pair.privateKey }
}

/** Null for a point of low order, whose shared secret would be all zero and known to everyone. */
export async function agree(
  privateKey: CryptoKey,
  remotePublic: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    const remote = await subtle().importKey("raw", source(remotePublic), "X25519", true, [])
    const shared = new Uint8Array(
      await subtle().deriveBits({ name: "X25519", public: remote }, privateKey, 256),
    )
    // Some engines refuse the all-zero result themselves, others return it.
    return shared.every((byte) => byte === 0) ? null : shared
  } catch {
    return null
  }
}

export function generateSigningKey(): Promise<CryptoKeyPair> {
  return subtle().generateKey("Ed25519", false, ["sign", "verify"])
}

export async function sign(privateKey: CryptoKey, message: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await subtle().sign("Ed25519", privateKey, source(message)))
}

export async function verify(
  publicKey: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<boolean> {
  try {
    const key = await subtle().importKey("raw", source(publicKey), "Ed25519", true, ["verify"])
    return await subtle().verify("Ed25519", key, source(signature), source(message))
  } catch {
    // A public key that is not a point on the curve.
    return false
  }
}

export async function exportRaw(key: CryptoKey): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await subtle().exportKey("raw", key))
}

export type PrivateKeyKind = "Ed25519" | "X25519"

/** A private key from its 32-byte seed, not extractable: WebCrypto only takes it wrapped in PKCS #8. */
export function importPrivateKey(kind: PrivateKeyKind, seed: Uint8Array): Promise<CryptoKey> {
  const usage: KeyUsage[] = kind === "Ed25519" ? ["sign"] : ["deriveBits"]
  return subtle().importKey("pkcs8", concatBytes(pkcs8Prefix(kind), seed) as BufferSource, kind, false, usage)
}

/** The public half of a seed, which WebCrypto gives out only through an extractable private key. */
export async function publicKeyOf(kind: PrivateKeyKind, seed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const usage: KeyUsage[] = kind === "Ed25519" ? ["sign"] : ["deriveBits"]
  const pkcs8 = concatBytes(pkcs8Prefix(kind), seed) as BufferSource
  const jwk = await subtle().exportKey("jwk", await subtle().importKey("pkcs8", pkcs8, kind, true, usage))
  return fromBase64Url(jwk.x ?? "") ?? new Uint8Array(0)
}

export function toBase64Url(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "")
}

/** Null unless `text` is base64url in its one canonical form. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"))
  const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0))
  return toBase64Url(bytes) === text ? bytes : null
}

export type MissingCrypto = "insecure-context" | "missing-crypto"

/** What this platform lacks, or null. Generates throw-away keys: there is no other way to ask. */
export async function findMissingCrypto(): Promise<MissingCrypto | null> {
  // Pages that are neither https nor localhost have `crypto` without `subtle`.
  if (typeof crypto === "undefined" || (crypto.subtle as SubtleCrypto | undefined) === undefined) {
    return "insecure-context"
  }
  try {
    await Promise.all([generateSigningKey(), generateEphemeralKey()])
    return null
  } catch {
    return "missing-crypto"
  }
}

function pkcs8Prefix(kind: PrivateKeyKind): Uint8Array {
  const oid = kind === "Ed25519" ? 0x70 : 0x6e
  return Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, oid, 4, 0x22, 4, 0x20)
}

function subtle(): SubtleCrypto {
  return crypto.subtle
}

/** The DOM types refuse views that might be on shared memory; ours never are. */
function source(bytes: Uint8Array): BufferSource {
  return bytes as Uint8Array<ArrayBuffer>
}
