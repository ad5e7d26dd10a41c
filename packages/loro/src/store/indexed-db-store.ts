import { createState, type MutableState, type State } from "@dunlin/core"
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, deleteDB, openDB } from "idb"

import { LoroReplicaError, reasonOf } from "../loro-replica-error.ts"
import { type DocumentStore, type OpenDocumentStore, ownBytes, type StoreBatch } from "./document-store.ts"
import { lacksWebLocks } from "./database-lock.ts"
import { lockDatabaseName, openTabLease } from "./tab-lease.ts"

/** How durable an acknowledged write of a browser's store is. */
export interface IndexedDbStoreOptions {
  /**
   * "relaxed" (the default): a write survives the end of the browser. "strict": also that of the machine, at several
   * milliseconds per write.
   */
  readonly durability?: "relaxed" | "strict" | undefined
}

interface Schema extends DBSchema {
  rows: {
    key: string
    value: { id: string; sequence: number; bytes: Uint8Array }
    indexes: { sequence: number }
  }
  log: { key: [string, number]; value: Uint8Array }
  snapshots: { key: string; value: Uint8Array }
  inbox: { key: number; value: { id: string; bytes: Uint8Array }; indexes: { id: string } }
  blobs: { key: string; value: Uint8Array }
}

type Table = "rows" | "log" | "snapshots" | "inbox" | "blobs"

const FORMAT = 1
const PREFIX = "dunlin-loro-"
const LEASE_PREFIX = "dunlin/loro/"
const EPOCH_BLOB = "dunlin/epoch"

/** Keeps documents in the browser. The tabs of one origin share the store: one writes, the others hand it their edits. */
export function indexedDbStore(name: string, options: IndexedDbStoreOptions = {}): DocumentStore {
  return {
    name,
    async open({ signal } = {}) {
      signal?.throwIfAborted()
      if (typeof indexedDB === "undefined") {
        throw new LoroReplicaError(
          "storage-failed",
          "there is no IndexedDB here: use memoryStore() or the LMDB store",
        )
      }
      const lost = createState<string | null>(null)
      const database = await untilAborted(
        guard(name, () => openDatabase(name, lost)),
        signal,
      )
      try {
        const epoch = await guard(name, () => readEpoch(database))
        const lease = await openTabLease(LEASE_PREFIX + name, signal)
        // The tab that took the database from us would wait for a lease that nobody uses.
        lost.subscribe(() => lease.close())
        if (lost.get() !== null) lease.close()
        return openStore({ name, database, lost, epoch, lease, durability: options.durability ?? "relaxed" })
      } catch (error) {
        database.close()
        throw error
      }
    },
  }
}

/** Deletes a store with everything in it. Close it first: open stores lose their database. */
export async function deleteIndexedDbStore(name: string): Promise<void> {
  await guard(name, () => deleteDB(PREFIX + name))
  if (lacksWebLocks()) await guard(name, () => deleteDB(lockDatabaseName(LEASE_PREFIX + name)))
}

function openDatabase(name: string, lost: MutableState<string | null>): Promise<IDBPDatabase<Schema>> {
  return openDB<Schema>(PREFIX + name, FORMAT, {
    upgrade(database) {
      database
        .createObjectStore("rows", { keyPath: "id" })
        .createIndex("sequence", "sequence", { unique: true })
      database.createObjectStore("log")
      database.createObjectStore("snapshots")
      database.createObjectStore("inbox", { autoIncrement: true }).createIndex("id", "id")
      database.createObjectStore("blobs")
    },
    blocking(_current, _blocked, event) {
      // A newer version of the application, or whoever deletes the database, waits for us.
      ;(event.target as IDBDatabase | null)?.close()
      lost.set(
        event.newVersion === null ? "it was deleted" : "a newer version of the application has taken it over",
      )
    },
    // As when a person clears the site's data.
    terminated: () => lost.set("the browser closed it"),
  })
}

/**
 * Opening a database may have to wait for another tab, which may be frozen, and browsers cannot cancel it: after an
 * abort, the database is closed as soon as it opens.
 */
function untilAborted(
  opening: Promise<IDBPDatabase<Schema>>,
  signal: AbortSignal | undefined,
): Promise<IDBPDatabase<Schema>> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal?.reason)
      opening.then(
        (database) => database.close(),
        () => undefined,
      )
    }
    signal?.addEventListener("abort", abort, { once: true })
    void opening.then(resolve, reject).finally(() => signal?.removeEventListener("abort", abort))
  })
}

/** Made by the first opener in one transaction, so that two tabs cannot make two. */
async function readEpoch(database: IDBPDatabase<Schema>): Promise<Uint8Array> {
  const transaction = database.transaction("blobs", "readwrite", { durability: "strict" })
  const known = await transaction.store.get(EPOCH_BLOB)
  const epoch = known ?? crypto.getRandomValues(new Uint8Array(16))
  if (known === undefined) await transaction.store.put(epoch, EPOCH_BLOB)
  await transaction.done
  return epoch
}

interface OpenStoreOptions {
  readonly name: string
  readonly database: IDBPDatabase<Schema>
  /** Why the database is no longer available, in words; null while it is. */
  readonly lost: State<string | null>
  readonly epoch: Uint8Array
  readonly lease: Awaited<ReturnType<typeof openTabLease>>
  readonly durability: "relaxed" | "strict"
}

function openStore({ name, database, lost, epoch, lease, durability }: OpenStoreOptions): OpenDocumentStore {
  let underWay: Promise<unknown> = Promise.resolve()
  let closed = false
  const run = <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (closed)
      return Promise.reject(new LoroReplicaError("closed", `store "${name}" is closed: open it again`))
    const reason = lost.get()
    if (reason !== null) {
      const message = `IndexedDB "${PREFIX}${name}": ${reason}, and this page can no longer use it: reload the page`
      return Promise.reject(new LoroReplicaError("storage-failed", message))
    }
    const result = guard(name, work)
    underWay = Promise.allSettled([underWay, result])
    return result
  }

  return {
    epoch,
    lease,
    commit: (batch) => run(() => commitBatch(database, batch, durability)),
    rows: (ids) =>
      run(async () => {
        const { store } = database.transaction("rows")
        const rows = await Promise.all(ids.map((id) => store.get(id)))
        return rows.map((row) => row?.bytes ?? null)
      }),
    changes: (after, limit) =>
      run(() => database.getAllFromIndex("rows", "sequence", IDBKeyRange.lowerBound(after, true), limit)),
    lastSequence: () =>
      run(async () => {
        const cursor = await database.transaction("rows").store.index("sequence").openKeyCursor(null, "prev")
        return cursor?.key ?? 0
      }),
    load: (id) => run(() => loadDocument(database, id)),
    inbox: (after, limit) =>
      run(async () => {
        const { store } = database.transaction("inbox")
        const range = IDBKeyRange.lowerBound(after, true)
        const [keys, values] = await Promise.all([store.getAllKeys(range, limit), store.getAll(range, limit)])
        return values.map((value, index) => ({ ...value, key: keys[index] ?? 0 }))
      }),
    blob: (blobName) => run(async () => (await database.get("blobs", blobName)) ?? null),
    async close() {
      if (closed) return
      closed = true
      await underWay
      database.close()
      lease.close()
    },
  }
}

async function commitBatch(
  database: IDBPDatabase<Schema>,
  batch: StoreBatch,
  durability: "relaxed" | "strict",
): Promise<readonly number[]> {
  const tables = tablesOf(batch)
  if (tables.length === 0) return []
  const strict = durability === "strict" || tables.includes("blobs")
  const transaction = database.transaction(tables, "readwrite", { durability: strict ? "strict" : "relaxed" })
  const inboxKeys: Promise<number>[] = []
  try {
    // The requests of a transaction run in the order in which they are made; only its end is awaited.
    for (const request of requestsOf(transaction, batch)) request.catch(() => undefined)
    for (const item of batch.inbox ?? []) {
      const key = transaction.objectStore("inbox").add({ id: item.id, bytes: ownBytes(item.bytes) })
      key.catch(() => undefined)
      inboxKeys.push(key)
    }
    transaction.commit()
    await transaction.done
    return await Promise.all(inboxKeys)
  } catch (error) {
    transaction.done.catch(() => undefined)
    // An exception in here is no failed request: without an abort the browser would commit the rest.
    abort(transaction)
    throw error
  }
}

function abort(transaction: { abort(): void }): void {
  try {
    transaction.abort()
  } catch {
    // The transaction is over already.
  }
}

function tablesOf(batch: StoreBatch): Table[] {
  const touched = (some: readonly unknown[] | undefined): boolean => some !== undefined && some.length > 0
  const tables: Table[] = []
  if (touched(batch.rows)) tables.push("rows")
  if (touched(batch.trims) || touched(batch.logs)) tables.push("log")
  if (touched(batch.snapshots)) tables.push("snapshots")
  if (touched(batch.inbox) || touched(batch.inboxDeletes)) tables.push("inbox")
  if (touched(batch.blobs)) tables.push("blobs")
  return tables
}

function* requestsOf(
  transaction: IDBPTransaction<Schema, Table[], "readwrite">,
  batch: StoreBatch,
): Generator<Promise<unknown>> {
  for (const { id, from, through } of batch.trims ?? []) {
    yield transaction.objectStore("log").delete(IDBKeyRange.bound([id, from], [id, through]))
  }
  for (const { id, sequence, bytes } of batch.logs ?? []) {
    yield transaction.objectStore("log").put(ownBytes(bytes), [id, sequence])
  }
  for (const { id, bytes } of batch.snapshots ?? []) {
    const table = transaction.objectStore("snapshots")
    yield bytes === null ? table.delete(id) : table.put(ownBytes(bytes), id)
  }
  for (const row of batch.rows ?? [])
    yield transaction.objectStore("rows").put({ ...row, bytes: ownBytes(row.bytes) })
  for (const key of batch.inboxDeletes ?? []) yield transaction.objectStore("inbox").delete(key)
  for (const { name, bytes } of batch.blobs ?? []) {
    const table = transaction.objectStore("blobs")
    yield bytes === null ? table.delete(name) : table.put(ownBytes(bytes), name)
  }
}

async function loadDocument(
  database: IDBPDatabase<Schema>,
  id: string,
): ReturnType<OpenDocumentStore["load"]> {
  const transaction = database.transaction(["rows", "log", "snapshots", "inbox"])
  const range = IDBKeyRange.bound([id, 0], [id, Number.MAX_SAFE_INTEGER])
  const inbox = transaction.objectStore("inbox").index("id")
  const [row, snapshot, keys, values, inboxKeys, inboxValues] = await Promise.all([
    transaction.objectStore("rows").get(id),
    transaction.objectStore("snapshots").get(id),
    transaction.objectStore("log").getAllKeys(range),
    transaction.objectStore("log").getAll(range),
    inbox.getAllKeys(id),
    inbox.getAll(id),
  ])
  return {
    row: row?.bytes ?? null,
    snapshot: snapshot ?? null,
    log: values.map((bytes, index) => ({ sequence: keys[index]?.[1] ?? 0, bytes })),
    inbox: inboxValues.map((value, index) => ({ ...value, key: inboxKeys[index] ?? 0 })),
  }
}

async function guard<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof LoroReplicaError) throw cause
    const full = cause instanceof DOMException && cause.name === "QuotaExceededError"
    const advice = full ? "the browser's storage is full: free some space" : "reload the page"
    const message = `IndexedDB "${PREFIX}${name}": ${reasonOf(cause)}; ${advice}`
    throw new LoroReplicaError("storage-failed", message, { cause })
  }
}
