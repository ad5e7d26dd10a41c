import { randomBytes } from "node:crypto"
import { mkdir } from "node:fs/promises"

import { createState } from "@dunlin/core"
import { type Database, open, type RootDatabase } from "lmdb"

import { LoroReplicaError, reasonOf } from "../loro-replica-error.ts"
import type { DocumentStore, OpenDocumentStore, StoreBatch, StoredDocument } from "../store/document-store.ts"
import { lockPath } from "./path-lock.ts"

/** Where documents are kept on disk, and how durable an acknowledged write is. */
export interface LmdbStoreOptions {
  /** A directory of its own, made if it is missing. */
  readonly path: string
  /**
   * "strict" (the default): a write survives the end of the machine. "relaxed": that of the process, and is
   * acknowledged sooner.
   */
  readonly durability?: "relaxed" | "strict"
}

interface Tables {
  readonly root: RootDatabase<Buffer, string>
  /** Change sequence (8 bytes) and row, by id. */
  readonly rows: Database<Buffer, string>
  readonly idsBySequence: Database<string, number>
  readonly log: Database<Buffer, [string, number]>
  readonly snapshots: Database<Buffer, string>
  readonly inbox: Database<Buffer, [string, number] | number>
  readonly blobs: Database<Buffer, string>
}

interface Opened {
  readonly tables: Tables
  /** Names this opener in the store. */
  readonly owner: Uint8Array
  readonly unlock: () => Promise<void>
}

const EPOCH_BLOB = "dunlin/epoch"
const OWNER_BLOB = "dunlin/owner"
const INBOX_COUNTER_BLOB = "dunlin/inbox"
const CLOSE_PATIENCE_MS = 5_000

/** Keeps documents in a directory. One process has it open at a time. */
export function lmdbStore(options: LmdbStoreOptions): DocumentStore {
  const { path } = options
  return {
    name: path,
    async open({ signal } = {}) {
      signal?.throwIfAborted()
      await guard(path, () => mkdir(path, { recursive: true }))
      const unlock = await lockPath(path)
      try {
        return await guard(path, async () => {
          const tables = openTables(path)
          try {
            const epoch = await readEpoch(tables)
            const owner = randomBytes(16)
            await tables.blobs.put(OWNER_BLOB, owner)
            return openStore(path, { tables, owner, unlock }, epoch, options.durability ?? "strict")
          } catch (error) {
            await tables.root.close()
            throw error
          }
        })
      } catch (error) {
        await unlock()
        throw error
      }
    },
  }
}

function openTables(path: string): Tables {
  // Documents are few, and large compared to their keys; the values are compressed or encrypted already. lmdb's own
  // batches have promises that nobody can handle and that end the process when the disk is full; our writer batches.
  const root = open<Buffer, string>({ path, encoding: "binary", maxDbs: 8, eventTurnBatching: false })
  return {
    root,
    rows: root.openDB({ name: "rows", encoding: "binary" }),
    idsBySequence: root.openDB({ name: "sequence", encoding: "string" }),
    log: root.openDB({ name: "log", encoding: "binary" }),
    snapshots: root.openDB({ name: "snapshots", encoding: "binary" }),
    inbox: root.openDB({ name: "inbox", encoding: "binary" }),
    blobs: root.openDB({ name: "blobs", encoding: "binary" }),
  }
}

async function readEpoch({ blobs, root }: Tables): Promise<Uint8Array> {
  const known = blobs.get(EPOCH_BLOB)
  if (known !== undefined) return bytesOf(known)
  const epoch = randomBytes(16)
  await blobs.put(EPOCH_BLOB, epoch)
  await root.flushed
  return bytesOf(epoch)
}

function openStore(
  path: string,
  { tables, owner, unlock }: Opened,
  epoch: Uint8Array,
  durability: "relaxed" | "strict",
): OpenDocumentStore {
  let closed: Promise<void> | null = null
  const run = <Result>(work: () => Result | Promise<Result>): Promise<Result> =>
    closed === null
      ? guard(path, work)
      : Promise.reject(new LoroReplicaError("closed", `store "${path}" is closed: open it again`))

  return {
    epoch,
    // Only one process has the directory open, so there is nobody to share the lease with.
    lease: { held: createState(true), post: () => undefined, subscribe: () => () => undefined },
    commit: (batch) =>
      run(async () => {
        // A child transaction can be undone: of a plain one that throws, lmdb commits what it wrote before.
        const keys = await tables.root.childTransaction(() => {
          assertOwner(path, tables, owner)
          return applyBatch(tables, batch)
        })
        if (durability === "strict") await tables.root.flushed
        return keys
      }),
    rows: (ids) =>
      run(() =>
        ids.map((id) => {
          const value = tables.rows.get(keyOf(id))
          return value === undefined ? null : rowOf(value).bytes
        }),
      ),
    changes: (after, limit) =>
      run(() =>
        Array.from(tables.idsBySequence.getRange({ start: after + 1, limit }), ({ key, value }) => {
          const row = tables.rows.get(keyOf(value))
          return { id: value, sequence: key, bytes: row === undefined ? new Uint8Array(0) : rowOf(row).bytes }
        }),
      ),
    lastSequence: () =>
      run(() => {
        for (const key of tables.idsBySequence.getKeys({ reverse: true, limit: 1 })) return key
        return 0
      }),
    load: (id) => run(() => loadDocument(tables, id)),
    inbox: (after, limit) =>
      run(() =>
        Array.from(tables.inbox.getRange({ start: after + 1, limit }), ({ key, value }) =>
          inboxEntryOf(key as number, value),
        ),
      ),
    blob: (name) =>
      run(() => {
        const value = tables.blobs.get(keyOf(name))
        return value === undefined ? null : bytesOf(value)
      }),
    close() {
      closed ??= closeTables(path, tables).finally(unlock)
      return closed
    },
  }
}

/** Resolves even if the disk is full or gone: whoever closes can do no more about it. */
async function closeTables(path: string, { root }: Tables): Promise<void> {
  let patience: NodeJS.Timeout | undefined
  const close = async (): Promise<void> => {
    // After a failed commit, lmdb waits for its flush, which never comes. A commit that succeeds brings another one.
    await guard(path, () => root.childTransaction(() => undefined)).catch(() => undefined)
    await root.flushed
    await root.close()
  }
  const giveUp = new Promise<void>((resolve) => (patience = setTimeout(resolve, CLOSE_PATIENCE_MS)))
  await Promise.race([close().catch(() => undefined), giveUp])
  clearTimeout(patience)
}

/** The lock covers one machine and its temporary directory; another machine may open a directory on a shared volume despite it. */
function assertOwner(path: string, { blobs }: Tables, owner: Uint8Array): void {
  const now = blobs.get(OWNER_BLOB)
  if (now !== undefined && Buffer.compare(now, owner) === 0) return
  throw new LoroReplicaError(
    "store-in-use",
    `${path} was opened by another process, which writes it now: give each process a directory of its own`,
  )
}

/** Runs inside one write transaction. */
function applyBatch(tables: Tables, batch: StoreBatch): readonly number[] {
  for (const { id, from, through } of batch.trims ?? []) {
    const name = keyOf(id)
    for (const key of tables.log.getKeys({ start: [name, from], end: [name, through + 1] }))
      tables.log.removeSync(key)
  }
  for (const { id, sequence, bytes } of batch.logs ?? [])
    tables.log.putSync([keyOf(id), sequence], bufferOf(bytes))
  for (const { id, bytes } of batch.snapshots ?? []) {
    if (bytes === null) tables.snapshots.removeSync(keyOf(id))
    else tables.snapshots.putSync(keyOf(id), bufferOf(bytes))
  }
  for (const { id, sequence, bytes } of batch.rows ?? []) {
    const name = keyOf(id)
    const before = tables.rows.get(name)
    if (before !== undefined) tables.idsBySequence.removeSync(rowOf(before).sequence)
    const value = Buffer.alloc(8 + bytes.length)
    value.writeBigUInt64BE(BigInt(sequence))
    value.set(bytes, 8)
    tables.rows.putSync(name, value)
    tables.idsBySequence.putSync(sequence, id)
  }
  for (const key of batch.inboxDeletes ?? []) tables.inbox.removeSync(key)
  for (const { name, bytes } of batch.blobs ?? []) {
    if (bytes === null) tables.blobs.removeSync(keyOf(name))
    else tables.blobs.putSync(keyOf(name), bufferOf(bytes))
  }
  return (batch.inbox ?? []).map(({ id, bytes }) => {
    const key = nextInboxKey(tables)
    const name = Buffer.from(id)
    const value = Buffer.alloc(4 + name.length + bytes.length)
    value.writeUInt32BE(name.length)
    value.set(name, 4)
    value.set(bytes, 4 + name.length)
    tables.inbox.putSync(key, value)
    return key
  })
}

/** Keys are never given twice, even after the inbox was emptied. */
function nextInboxKey({ blobs }: Tables): number {
  const last = blobs.get(INBOX_COUNTER_BLOB)
  const key = (last === undefined ? 0 : Number(last.readBigUInt64BE())) + 1
  const value = Buffer.alloc(8)
  value.writeBigUInt64BE(BigInt(key))
  blobs.putSync(INBOX_COUNTER_BLOB, value)
  return key
}

function loadDocument(tables: Tables, id: string): StoredDocument {
  const name = keyOf(id)
  const row = tables.rows.get(name)
  const snapshot = tables.snapshots.get(name)
  const range = {
    start: [name, 0] as [string, number],
    end: [name, Number.MAX_SAFE_INTEGER] as [string, number],
  }
  return {
    row: row === undefined ? null : rowOf(row).bytes,
    snapshot: snapshot === undefined ? null : bytesOf(snapshot),
    log: Array.from(tables.log.getRange(range), ({ key, value }) => ({
      sequence: key[1],
      bytes: bytesOf(value),
    })),
    inbox: Array.from(tables.inbox.getRange({}), ({ key, value }) =>
      inboxEntryOf(key as number, value),
    ).filter((entry) => entry.id === id),
  }
}

/**
 * Ids come from peers and may hold control characters. In a key, lmdb ends a text with one control character and begins a
 * number with another, and escapes them in short texts only: a peer could make the log of one document lie within another's.
 */
function keyOf(id: string): string {
  // oxlint-disable-next-line no-control-regex
  return id.replaceAll(/[\u0000-\u001f\u007f]/g, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, "0")
    return `\u007f${code}`
  })
}

function rowOf(value: Buffer): { readonly sequence: number; readonly bytes: Uint8Array } {
  // Damaged: returned without content, so that it affects no other document.
  if (value.length < 8) return { sequence: 0, bytes: new Uint8Array(0) }
  return { sequence: Number(value.readBigUInt64BE()), bytes: bytesOf(value.subarray(8)) }
}

function inboxEntryOf(
  key: number,
  value: Buffer,
): { readonly key: number; readonly id: string; readonly bytes: Uint8Array } {
  if (value.length < 4) return { key, id: "", bytes: new Uint8Array(0) }
  const nameEnd = 4 + value.readUInt32BE()
  return { key, id: value.toString("utf8", 4, nameEnd), bytes: bytesOf(value.subarray(nameEnd)) }
}

/** A copy, because the database may reuse its memory. */
function bytesOf(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer)
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

async function guard<Result>(path: string, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof LoroReplicaError) throw thrown
    const cause = await causeOf(thrown)
    throw new LoroReplicaError(
      "storage-failed",
      `LMDB at ${path}: ${reasonOf(cause)}; check the disk's space and permissions`,
      { cause },
    )
  }
}

/** lmdb gives the reason of a failed commit by a separate promise, which ends the process if nobody handles its rejection. */
async function causeOf(thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof Error) || !("commitError" in thrown)) return thrown
  const told = Promise.resolve(thrown.commitError).then(
    () => thrown,
    (reason: unknown) => reason,
  )
  const silence = new Promise((resolve) => setImmediate(resolve, thrown))
  return Promise.race([told, silence])
}
