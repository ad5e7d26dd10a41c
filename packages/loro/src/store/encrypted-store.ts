import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { DocumentStore, InboxEntry, OpenDocumentStore, StoreBatch, StoredRow } from "./document-store.ts"
import { KEY_BLOB } from "./key-blob.ts"
import { createStoreCipher, openStoreKey, type StoreCipher } from "./store-cipher.ts"

/**
 * Encrypts all that a store keeps, ids included; what stays to be seen is how many documents there are, how long
 * their parts are and when they change.
 *
 * `key` wraps the store's own random key: AES-GCM with the usages "encrypt" and "decrypt", best not extractable (see
 * `browserStoreKey`). Another key rejects with `LoroReplicaError` "wrong-key", also on a store that was never
 * encrypted; nothing is read as empty.
 */
export function encryptedStore(store: DocumentStore, key: CryptoKey): DocumentStore {
  return {
    name: store.name,
    async open(options) {
      const inner = await store.open(options)
      try {
        const dataKey = await openStoreKey(store.name, inner, key, options?.signal)
        return openEncrypted(store.name, inner, createStoreCipher(dataKey, inner.epoch))
      } catch (error) {
        await inner.close()
        throw error
      }
    },
  }
}

function openEncrypted(name: string, inner: OpenDocumentStore, cipher: StoreCipher): OpenDocumentStore {
  const hide = (id: string): string =>
    toBase64Url(hmac(sha256, cipher.idKey, new TextEncoder().encode(id)).subarray(0, 16))

  const sealAll = async (batch: StoreBatch): Promise<StoreBatch> => {
    const [logs, snapshots, rows, inbox, blobs] = await Promise.all([
      mapAsync(batch.logs, async ({ id, sequence, bytes }) => {
        const hidden = hide(id)
        return { id: hidden, sequence, bytes: await cipher.seal(["log", hidden, sequence], bytes) }
      }),
      mapAsync(batch.snapshots, async ({ id, bytes }) => {
        const hidden = hide(id)
        return { id: hidden, bytes: bytes === null ? null : await cipher.seal(["snapshot", hidden], bytes) }
      }),
      mapAsync(batch.rows, async ({ id, sequence, bytes }) => {
        const hidden = hide(id)
        return { id: hidden, sequence, bytes: await cipher.seal(["row", hidden], withId(id, bytes)) }
      }),
      mapAsync(batch.inbox, async ({ id, bytes }) => {
        const hidden = hide(id)
        return { id: hidden, bytes: await cipher.seal(["inbox", hidden], withId(id, bytes)) }
      }),
      mapAsync(batch.blobs, async ({ name: blob, bytes }) => ({
        name: blob,
        bytes: bytes === null ? null : await cipher.seal(["blob", blob], bytes),
      })),
    ])
    const trims = (batch.trims ?? []).map((range) => ({ ...range, id: hide(range.id) }))
    return { trims, logs, snapshots, rows, inbox, blobs, inboxDeletes: batch.inboxDeletes ?? [] }
  }

  const openRow = async ({ id: hidden, sequence, bytes }: StoredRow): Promise<StoredRow> => ({
    sequence,
    ...splitId(await cipher.open(["row", hidden], bytes)),
  })

  const openInbox = async ({ id: hidden, key, bytes }: InboxEntry): Promise<InboxEntry> => {
    try {
      return { key, ...splitId(await cipher.open(["inbox", hidden], bytes)) }
    } catch {
      // A damaged one must not hide the others. It is left where it is, as one that says nothing.
      return { key, id: hidden, bytes: new Uint8Array(0) }
    }
  }

  return {
    epoch: inner.epoch,
    lease: inner.lease,
    commit: async (batch) => inner.commit(await sealAll(batch)),
    async rows(ids) {
      const rows = await inner.rows(ids.map(hide))
      return Promise.all(
        rows.map(async (bytes, index) =>
          bytes === null ? null : splitId(await cipher.open(["row", hide(ids[index] ?? "")], bytes)).bytes,
        ),
      )
    },
    changes: async (after, limit) => Promise.all((await inner.changes(after, limit)).map(openRow)),
    lastSequence: () => inner.lastSequence(),
    async load(id) {
      const hidden = hide(id)
      const stored = await inner.load(hidden)
      const [row, snapshot, log, inbox] = await Promise.all([
        stored.row === null ? null : cipher.open(["row", hidden], stored.row),
        stored.snapshot === null ? null : cipher.open(["snapshot", hidden], stored.snapshot),
        Promise.all(
          stored.log.map(async ({ sequence, bytes }) => ({
            sequence,
            bytes: await cipher.open(["log", hidden, sequence], bytes),
          })),
        ),
        Promise.all(stored.inbox.map(openInbox)),
      ])
      return { row: row === null ? null : splitId(row).bytes, snapshot, log, inbox }
    },
    inbox: async (after, limit) => Promise.all((await inner.inbox(after, limit)).map(openInbox)),
    async blob(blobName) {
      // The key blob is how an encrypted store is told from a plain one; from in here it is a plain one.
      if (blobName === KEY_BLOB) return null
      const bytes = await inner.blob(blobName)
      return bytes === null ? null : cipher.open(["blob", blobName], bytes)
    },
    close: () => inner.close(),
  }

  function splitId(bytes: Uint8Array): { readonly id: string; readonly bytes: Uint8Array } {
    try {
      const read = new ByteReader(bytes)
      return { id: read.text(4_096), bytes: read.rest().slice() }
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause
      throw new LoroReplicaError(
        "storage-failed",
        `store "${name}" holds a damaged entry: ${cause.message}`,
        { cause },
      )
    }
  }
}

function withId(id: string, bytes: Uint8Array): Uint8Array {
  return new ByteWriter(bytes.length + id.length + 8).text(id).bytes(bytes).finish()
}

async function mapAsync<Item, Result>(
  items: readonly Item[] | undefined,
  map: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  return items === undefined || items.length === 0 ? [] : Promise.all(items.map(map))
}

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "")
}
