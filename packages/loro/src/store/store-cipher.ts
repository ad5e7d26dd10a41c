import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"
import { hkdf } from "@noble/hashes/hkdf.js"
import { sha256 } from "@noble/hashes/sha2.js"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { OpenDocumentStore } from "./document-store.ts"
import { KEY_BLOB } from "./key-blob.ts"

/** Where a piece is stored: one that was moved elsewhere does not decrypt there. */
export type Place = readonly (string | number)[]

export interface StoreCipher {
  /** Hides document ids. */
  readonly idKey: Uint8Array
  seal(place: Place, bytes: Uint8Array): Promise<Uint8Array>
  /** Rejects with "wrong-key" when the piece is damaged, moved, or of another key. */
  open(place: Place, bytes: Uint8Array): Promise<Uint8Array>
}

const FORMAT = 1
/** The header has room for the parameters of a key derivation; 0 means that the key is given. */
const NO_DERIVATION = 0
const NONCE_BYTES = 12
const KEY_BYTES = 32
const HEADER_WAIT_MS = 50
const HEADER_ATTEMPTS = 100

/**
 * The store's random key, from `version u8 | derivation u8 | parameters | nonce 12 | AES-GCM(key, data key)`; made on
 * the first opening by whoever holds the lease.
 */
export async function openStoreKey(
  name: string,
  store: OpenDocumentStore,
  key: CryptoKey,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  for (let attempt = 0; attempt < HEADER_ATTEMPTS; attempt++) {
    const header = await store.blob(KEY_BLOB)
    if (header !== null) return unwrap(name, header, key, store.epoch)
    if (store.lease.held.get()) return create(name, store, key)
    await new Promise((resolve) => setTimeout(resolve, HEADER_WAIT_MS))
    signal?.throwIfAborted()
  }
  throw new LoroReplicaError(
    "storage-failed",
    `store "${name}" has no key yet, since the tab that was to make it did not: reload the page`,
  )
}

async function create(name: string, store: OpenDocumentStore, key: CryptoKey): Promise<Uint8Array> {
  if ((await store.lastSequence()) > 0 || (await store.inbox(0, 1)).length > 0) {
    throw new LoroReplicaError(
      "wrong-key",
      `store "${name}" holds documents that are not encrypted: open it without a key, or export and import them`,
    )
  }
  const dataKey = crypto.getRandomValues(new Uint8Array(KEY_BYTES))
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const parameters = { name: "AES-GCM", iv: nonce, additionalData: wrapPlace(store.epoch) }
  const wrapped = new Uint8Array(await crypto.subtle.encrypt(parameters, key, dataKey))
  const header = new ByteWriter(128)
    .u8(FORMAT)
    .u8(NO_DERIVATION)
    .block(new Uint8Array(0))
    .bytes(nonce)
    .bytes(wrapped)
    .finish()
  await store.commit({ blobs: [{ name: KEY_BLOB, bytes: header }] })
  return dataKey
}

async function unwrap(
  name: string,
  header: Uint8Array,
  key: CryptoKey,
  epoch: Uint8Array,
): Promise<Uint8Array> {
  try {
    const read = new ByteReader(header)
    if (read.u8() !== FORMAT || read.u8() !== NO_DERIVATION) throw new DecodeError("unknown-version")
    read.block(256)
    const iv = read.bytes(NONCE_BYTES).slice()
    const wrapped = read.rest().slice()
    const parameters = { name: "AES-GCM", iv, additionalData: wrapPlace(epoch) }
    return new Uint8Array(await crypto.subtle.decrypt(parameters, key, wrapped))
  } catch (cause) {
    throw new LoroReplicaError(
      "wrong-key",
      `store "${name}" does not open with this key: nothing was read or changed`,
      { cause },
    )
  }
}

export function createStoreCipher(dataKey: Uint8Array, epoch: Uint8Array): StoreCipher {
  const idKey = hkdf(sha256, dataKey, epoch, encode("dunlin/1 store ids"), KEY_BYTES)
  const contentKey = crypto.subtle.importKey(
    "raw",
    hkdf(sha256, dataKey, epoch, encode("dunlin/1 store content"), KEY_BYTES).slice(),
    "AES-GCM",
    false,
    ["encrypt", "decrypt"],
  )
  const additionalData = (place: Place): Uint8Array<ArrayBuffer> => {
    const write = new ByteWriter(96).u8(FORMAT).bytes(epoch)
    for (const part of place) write.text(String(part))
    return write.finish()
  }
  return {
    idKey,
    async seal(place, bytes) {
      const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
      const parameters = { name: "AES-GCM", iv, additionalData: additionalData(place) }
      const sealed = await crypto.subtle.encrypt(parameters, await contentKey, bytes.slice())
      const out = new Uint8Array(NONCE_BYTES + sealed.byteLength)
      out.set(iv)
      out.set(new Uint8Array(sealed), NONCE_BYTES)
      return out
    },
    async open(place, bytes) {
      const iv = bytes.slice(0, NONCE_BYTES)
      const parameters = { name: "AES-GCM", iv, additionalData: additionalData(place) }
      try {
        return new Uint8Array(
          await crypto.subtle.decrypt(parameters, await contentKey, bytes.slice(NONCE_BYTES)),
        )
      } catch (cause) {
        throw new LoroReplicaError(
          "wrong-key",
          `a stored piece (${String(place[0])}) does not open: it was damaged or put there by somebody else`,
          { cause },
        )
      }
    },
  }
}

function wrapPlace(epoch: Uint8Array): Uint8Array<ArrayBuffer> {
  return new ByteWriter(64).text("dunlin/1 store key").bytes(epoch).finish()
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
