import { createState, type MutableState } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import {
  type DocumentStore,
  type InboxEntry,
  type OpenDocumentStore,
  ownBytes,
  type StoreBatch,
  type StoredDocument,
  type StoredRow,
} from "./document-store.ts"

/** A store that lasts as long as the object: for tests and throw-away documents. */
export interface MemoryStore extends DocumentStore {
  /** A copy of what it holds now, as a disk would hold it if the process ended here. */
  copy(): MemoryStore
}

interface Contents {
  readonly epoch: Uint8Array
  readonly rowsById: Map<string, StoredRow>
  readonly logsById: Map<string, Map<number, Uint8Array>>
  readonly snapshotsById: Map<string, Uint8Array>
  readonly inboxByKey: Map<number, InboxEntry>
  readonly blobsByName: Map<string, Uint8Array>
  nextInboxKey: number
}

interface Opener {
  readonly held: MutableState<boolean>
  readonly listeners: Set<(message: Uint8Array) => void>
}

/** Keeps documents for as long as the object lives. Several openers share it as tabs share a browser's store. */
export function memoryStore(name = "memory"): MemoryStore {
  return createMemoryStore(name, {
    epoch: crypto.getRandomValues(new Uint8Array(16)),
    rowsById: new Map(),
    logsById: new Map(),
    snapshotsById: new Map(),
    inboxByKey: new Map(),
    blobsByName: new Map(),
    nextInboxKey: 1,
  })
}

function createMemoryStore(name: string, contents: Contents): MemoryStore {
  // In order of opening: the first holds the lease.
  const openers: Opener[] = []
  return {
    name,
    open: () => {
      const opener: Opener = { held: createState(openers.length === 0), listeners: new Set() }
      openers.push(opener)
      return Promise.resolve(openContents(contents, openers, opener))
    },
    copy: () =>
      createMemoryStore(name, {
        ...contents,
        rowsById: new Map(contents.rowsById),
        logsById: new Map([...contents.logsById].map(([id, log]) => [id, new Map(log)])),
        snapshotsById: new Map(contents.snapshotsById),
        inboxByKey: new Map(contents.inboxByKey),
        blobsByName: new Map(contents.blobsByName),
      }),
  }
}

function openContents(contents: Contents, openers: Opener[], opener: Opener): OpenDocumentStore {
  let closed = false
  const guard = <Result>(work: () => Result): Promise<Result> =>
    closed
      ? Promise.reject(new LoroReplicaError("closed", "the store is closed: open it again"))
      : new Promise((resolve) => {
          resolve(work())
        })
  return {
    epoch: contents.epoch,
    lease: {
      held: opener.held,
      post(message) {
        for (const other of [...openers]) {
          if (other === opener) continue
          for (const listener of other.listeners) queueMicrotask(() => listener(message))
        }
      },
      subscribe(listener) {
        opener.listeners.add(listener)
        return () => void opener.listeners.delete(listener)
      },
    },
    commit: (batch) => guard(() => applyBatch(contents, batch)),
    rows: (ids) => guard(() => ids.map((id) => contents.rowsById.get(id)?.bytes ?? null)),
    changes: (after, limit) =>
      guard(() =>
        [...contents.rowsById.values()]
          .filter((row) => row.sequence > after)
          .sort((a, b) => a.sequence - b.sequence)
          .slice(0, limit),
      ),
    lastSequence: () =>
      guard(() => {
        let last = 0
        for (const row of contents.rowsById.values()) last = Math.max(last, row.sequence)
        return last
      }),
    load: (id) => guard(() => loadDocument(contents, id)),
    inbox: (after, limit) =>
      guard(() => [...contents.inboxByKey.values()].filter((entry) => entry.key > after).slice(0, limit)),
    blob: (blobName) => guard(() => contents.blobsByName.get(blobName) ?? null),
    close() {
      if (closed) return Promise.resolve()
      closed = true
      opener.listeners.clear()
      openers.splice(openers.indexOf(opener), 1)
      openers[0]?.held.set(true)
      return Promise.resolve()
    },
  }
}

function applyBatch(contents: Contents, given: StoreBatch): readonly number[] {
  // Copied first: what cannot be copied fails before anything is changed.
  const batch = copyBatch(given)
  for (const { id, from, through } of batch.trims ?? []) {
    const log = contents.logsById.get(id)
    if (log === undefined) continue
    for (const sequence of [...log.keys()]) if (sequence >= from && sequence <= through) log.delete(sequence)
    if (log.size === 0) contents.logsById.delete(id)
  }
  for (const { id, sequence, bytes } of batch.logs ?? []) {
    const log = contents.logsById.get(id) ?? new Map<number, Uint8Array>()
    contents.logsById.set(id, log.set(sequence, bytes))
  }
  for (const { id, bytes } of batch.snapshots ?? []) {
    if (bytes === null) contents.snapshotsById.delete(id)
    else contents.snapshotsById.set(id, bytes)
  }
  for (const row of batch.rows ?? []) contents.rowsById.set(row.id, row)
  for (const key of batch.inboxDeletes ?? []) contents.inboxByKey.delete(key)
  for (const { name, bytes } of batch.blobs ?? []) {
    if (bytes === null) contents.blobsByName.delete(name)
    else contents.blobsByName.set(name, bytes)
  }
  return (batch.inbox ?? []).map(({ id, bytes }) => {
    const key = contents.nextInboxKey++
    contents.inboxByKey.set(key, { key, id, bytes })
    return key
  })
}

function copyBatch(batch: StoreBatch): StoreBatch {
  const own = <Item extends { readonly bytes: Uint8Array | null }>(items: readonly Item[] = []): Item[] =>
    items.map((item) => (item.bytes === null ? item : { ...item, bytes: ownBytes(item.bytes) }))
  return {
    trims: batch.trims ?? [],
    logs: own(batch.logs),
    snapshots: own(batch.snapshots),
    rows: own(batch.rows),
    inbox: own(batch.inbox),
    inboxDeletes: batch.inboxDeletes ?? [],
    blobs: own(batch.blobs),
  }
}

function loadDocument(contents: Contents, id: string): StoredDocument {
  const log = [...(contents.logsById.get(id) ?? [])].sort(([a], [b]) => a - b)
  return {
    row: contents.rowsById.get(id)?.bytes ?? null,
    snapshot: contents.snapshotsById.get(id) ?? null,
    log: log.map(([sequence, bytes]) => ({ sequence, bytes })),
    inbox: [...contents.inboxByKey.values()].filter((entry) => entry.id === id),
  }
}
