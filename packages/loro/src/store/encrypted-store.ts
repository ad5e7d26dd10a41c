import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 } from "@noble/hashes/sha2.js"

import { LoroReplicaError } from "../loro-replica-error.ts"
import { asideBlob, idOfAside } from "./aside-blob.ts"
import type { DocumentStore, InboxEntry, OpenDocumentStore, StoreBatch, StoredRow } from "./document-store.ts"
import { KEY_BLOB } from "./key-blob.ts"
import { createStoreCipher, openStoreKey, type Place, type StoreCipher } from "./store-cipher.ts"

/**
 * Encrypts all that a store keeps, ids included. What stays visible is how many documents there are, how long their
 * parts are and when they change.
 *
 * `key` wraps the store's own random key: AES-GCM with the usages "encrypt" and "decrypt", best not extractable (see
 * `browserStoreKey`). With another key, `open` rejects with `LoroReplicaError` "wrong-key", and so it does for a store
 * with unencrypted documents; nothing is read as empty. A damaged part is told apart from that, and affects only its
 * own document.
 */
export function encryptedStore(store: DocumentStore, key: CryptoKey): DocumentStore {
  return {
    name: store.name,
    async open(options) {
      const inner = await store.open(options)
      try {
        const dataKey = await openStoreKey(store.name, inner, key, options?.signal)
        const opened = openEncrypted(store.name, inner, createStoreCipher(dataKey, inner.epoch))
        await assertReadable(store.name, opened)
        return opened
      } catch (error) {
        await inner.close()
        throw error
      }
    },
  }
}

const READABLE_PAGE = 16

/** One damaged row affects one document. If not one of several rows decrypts, the key in the store is not that of its rows. */
async function assertReadable(name: string, store: OpenDocumentStore): Promise<void> {
  let count = 0
  for (let after = 0; ;) {
    const page = await store.changes(after, READABLE_PAGE)
    if (page.some((row) => row.isNameless === undefined)) return
    count += page.length
    const last = page.at(-1)
    if (last === undefined || page.length < READABLE_PAGE) break
    after = last.sequence
  }
  if (count < 2) return
  throw new LoroReplicaError(
    "wrong-key",
    `store "${name}": none of its ${count} documents opens with the key that is stored with them; nothing was read or changed`,
  )
}

const EMPTY = new Uint8Array(0)

function openEncrypted(name: string, inner: OpenDocumentStore, cipher: StoreCipher): OpenDocumentStore {
  const hide = (id: string): string =>
    toBase64Url(hmac(sha256, cipher.idKey, new TextEncoder().encode(id)).subarray(0, 16))

  /** Ids are hidden in the names of blobs, too. */
  const hideIn = (blob: string): string => {
    const id = idOfAside(blob)
    return id === null ? blob : asideBlob(hide(id))
  }

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
      mapAsync(batch.blobs, async ({ name: blob, bytes }) => {
        const hidden = hideIn(blob)
        return { name: hidden, bytes: bytes === null ? null : await cipher.seal(["blob", hidden], bytes) }
      }),
    ])
    const trims = (batch.trims ?? []).map((range) => ({ ...range, id: hide(range.id) }))
    return { trims, logs, snapshots, rows, inbox, blobs, inboxDeletes: batch.inboxDeletes ?? [] }
  }

  /** Null for a piece that was damaged, or put there by somebody else. */
  const openOrNull = async <Result>(
    place: Place,
    bytes: Uint8Array,
    read: (opened: Uint8Array) => Result,
  ): Promise<Result | null> => {
    try {
      return read(await cipher.open(place, bytes))
    } catch (error) {
      if (error instanceof LoroReplicaError) return null
      throw error
    }
  }

  const openRow = async ({ id: hidden, sequence, bytes }: StoredRow): Promise<StoredRow> => {
    const opened = await openOrNull(["row", hidden], bytes, splitId)
    return opened === null
      ? { id: hidden, sequence, bytes: EMPTY, isNameless: true }
      : { sequence, ...opened }
  }

  const openInbox = async ({ id: hidden, key, bytes }: InboxEntry): Promise<InboxEntry> => {
    try {
      return { key, ...splitId(await cipher.open(["inbox", hidden], bytes)) }
    } catch {
      // A damaged entry must not hide the others. It stays in the store, and is returned without content.
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
        rows.map(async (bytes, index) => {
          if (bytes === null) return null
          return (await openOrNull(["row", hide(ids[index] ?? "")], bytes, splitId))?.bytes ?? EMPTY
        }),
      )
    },
    changes: async (after, limit) => Promise.all((await inner.changes(after, limit)).map(openRow)),
    lastSequence: () => inner.lastSequence(),
    async load(id) {
      const hidden = hide(id)
      const stored = await inner.load(hidden)
      const unreadable: Uint8Array[] = []
      const openPart = async (
        place: Place,
        bytes: Uint8Array,
        read = (opened: Uint8Array): Uint8Array => opened,
      ): Promise<Uint8Array> => {
        const opened = await openOrNull(place, bytes, read)
        if (opened === null) unreadable.push(bytes)
        return opened ?? EMPTY
      }
      const [row, snapshot, log, inbox] = await Promise.all([
        stored.row === null ? null : openPart(["row", hidden], stored.row, (opened) => splitId(opened).bytes),
        stored.snapshot === null ? null : openPart(["snapshot", hidden], stored.snapshot),
        Promise.all(
          stored.log.map(async ({ sequence, bytes }) => ({
            sequence,
            bytes: await openPart(["log", hidden, sequence], bytes),
          })),
        ),
        Promise.all(stored.inbox.map(openInbox)),
      ])
      const document = { row, snapshot, log, inbox }
      return unreadable.length > 0 ? { ...document, unreadable } : document
    },
    inbox: async (after, limit) => Promise.all((await inner.inbox(after, limit)).map(openInbox)),
    async blob(blobName) {
      // The key blob marks a store as encrypted; seen through this wrapper, it is a plain one.
      if (blobName === KEY_BLOB) return null
      const hidden = hideIn(blobName)
      const bytes = await inner.blob(hidden)
      return bytes === null ? null : cipher.open(["blob", hidden], bytes)
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
