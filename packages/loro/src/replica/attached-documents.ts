import {
  type AttachedReplica,
  type Clock,
  type Incoming,
  type JoinOutcome,
  type ReadOutcome,
  ReplicaError,
  type ReplicaPeer,
  type ReplicaReport,
  sameBytes,
  type ScanPage,
} from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { OpenDocumentStore } from "../store/document-store.ts"
import type { StoreWriter } from "../store/store-writer.ts"
import { describeDevice } from "./change-source.ts"
import { isDocumentId } from "./document-id.ts"
import { parseDelta } from "./document-delta.ts"
import type { Applied, DocumentSet } from "./document-set.ts"
import type { DocumentReader } from "./document-reader.ts"
import type { DocumentShelf, ShelfEntry, UnreadableEntry } from "./document-shelf-api.ts"
import { hashOfRow } from "./row-hash.ts"

export interface AttachedOptions {
  readonly store: OpenDocumentStore
  readonly writer: StoreWriter
  readonly shelf: DocumentShelf
  readonly set: DocumentSet
  readonly reader: DocumentReader
  readonly clock: Clock
  readonly isHolder: () => boolean
  report(report: ReplicaReport): void
}

const SCAN_PAGE = 1_000
const JOIN_CHUNK = 64
const READ_CHUNK = 32
const READ_BYTES = 1_048_576
const SLICE_MS = 8
const EPOCH_BYTES = 16
const INDEX_BLOB = "index"

/** The room's view of the documents: what `Replica.attach` returns, without `handle` and `detach`. */
export function attachDocuments(options: AttachedOptions): Omit<AttachedReplica, "handle" | "detach"> {
  const { store, writer, shelf, set, reader, clock } = options

  /** Keeps long batches from blocking a key press. */
  const createSlicer = (): (() => Promise<void>) => {
    let startedAt = clock.monotonic()
    return async () => {
      if (clock.monotonic() - startedAt < SLICE_MS) return
      await new Promise<void>((resolve) => {
        clock.after(0, resolve)
      })
      startedAt = clock.monotonic()
    }
  }

  async function* scan(
    since: Uint8Array | null,
    scanOptions: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncIterable<ScanPage> {
    // After the write of everything that was reported: local changes are reported before they are stored.
    await writer.write({}).catch(() => undefined)
    let after = since === null ? 0 : parseCursor(since)
    if (after > 0 && after > (await store.lastSequence())) throw staleCursor()
    for (;;) {
      scanOptions.signal?.throwIfAborted()
      const rows = await store.changes(after, SCAN_PAGE)
      const last = rows.at(-1)
      if (last === undefined) return
      after = last.sequence
      const entries: { readonly key: string; readonly stateHash: Uint8Array | null }[] = []
      for (const row of rows) {
        const entry = await hashOfRow(row, { shelf, report: options.report })
        if (entry !== null) entries.push(entry)
      }
      yield { entries, cursor: encodeCursor(after) }
      if (rows.length < SCAN_PAGE) return
    }
  }

  const encodeCursor = (sequence: number): Uint8Array => {
    const cursor = new Uint8Array(EPOCH_BYTES + 8)
    cursor.set(store.epoch)
    new DataView(cursor.buffer).setBigUint64(EPOCH_BYTES, BigInt(sequence))
    return cursor
  }

  const parseCursor = (cursor: Uint8Array): number => {
    if (cursor.length !== EPOCH_BYTES + 8) throw staleCursor()
    if (!sameBytes(cursor.subarray(0, EPOCH_BYTES), store.epoch)) throw staleCursor()
    return Number(new DataView(cursor.buffer, cursor.byteOffset).getBigUint64(EPOCH_BYTES))
  }

  const joinChunk = async (
    entries: readonly Incoming[],
    sender: ReplicaPeer,
    slice: () => Promise<void>,
  ): Promise<readonly JoinOutcome[]> => {
    // A key may be longer than a store takes: one that is no document id must not spoil the rest of its batch.
    const taken = await shelf.take(entries.map((entry) => entry.key).filter(isDocumentId))
    try {
      const outcomes: JoinOutcome[] = []
      const durable: Promise<unknown>[] = []
      const documents = taken.values()
      for (const { key, delta } of entries) {
        const entry = isDocumentId(key) ? documents.next().value : undefined
        if (entry === undefined) {
          outcomes.push({ type: "refused", reason: "not a document id" })
          continue
        }
        const applied = await joinOne(entry, delta, sender)
        // Awaited below with the others; until then a failure must not count as unhandled.
        applied.durable.catch(() => undefined)
        durable.push(applied.durable)
        outcomes.push(applied.outcome)
        await slice()
      }
      await Promise.all(durable)
      return outcomes
    } finally {
      for (const entry of taken) if (entry.phase !== "unreadable") shelf.release(entry)
    }
  }

  const joinOne = async (
    entry: ShelfEntry | UnreadableEntry,
    bytes: Uint8Array,
    { device }: ReplicaPeer,
  ): Promise<{ readonly outcome: JoinOutcome; readonly durable: Promise<unknown> }> => {
    const refuse = (
      reason: string,
    ): { readonly outcome: JoinOutcome; readonly durable: Promise<unknown> } => ({
      outcome: { type: "refused", reason },
      durable: Promise.resolve(),
    })
    const delta = parseDelta(bytes)
    if (delta.type === "invalid") return refuse(delta.reason)
    if (entry.phase === "unreadable") {
      options.report({
        type: "quarantined",
        key: entry.id,
        reason: "it cannot be read from the store",
        cause: entry.cause,
      })
      return refuse("this document cannot be read here")
    }
    await entry.ready
    const applied = set.apply(entry, delta, {
      origin: "remote",
      sender: describeDevice(device),
      device,
      store: "write",
    })
    if (!("trapped" in applied)) {
      return { outcome: applied.outcome, durable: untilStored(entry, applied) }
    }
    await shelf.reload(entry)
    return refuse(applied.trapped)
  }

  /** What is acknowledged must be durable, also if it came another way and is still being stored, or could not be stored. */
  const untilStored = async (entry: ShelfEntry, { outcome, durable }: Applied): Promise<void> => {
    await durable
    const { journal, live } = entry
    if (outcome.type !== "joined" || entry.phase !== "live" || live === null) return
    if (outcome.changed ? journal.isUnsaved() : !journal.isIdle()) await journal.saved(live)
  }

  const settleEntry = async (entry: ShelfEntry): Promise<void> => {
    await entry.ready.catch(() => undefined)
    if (entry.phase === "live" && entry.live !== null) await entry.journal.saved(entry.live)
    else if (entry.phase === "deleted" && entry.journal.isUnsaved()) await entry.journal.bury()
  }

  return {
    scan,
    async flush() {
      // First commits, and thereby reports, everything that was typed: the loop is one task.
      for (const entry of shelf.entries()) if (entry.phase === "live") entry.live?.settle()
      await Promise.all([...shelf.entries()].map(settleEntry))
    },
    loadIndex: () =>
      store.blob(INDEX_BLOB).catch((cause: unknown) => {
        // The blob is damaged and does not decrypt. It is only a cache: without it the room scans.
        if (cause instanceof LoroReplicaError && cause.code === "wrong-key") return null
        throw cause
      }),
    async saveIndex(blob) {
      if (!options.isHolder()) return
      // After every change that the index covers: a crash must not leave it ahead of the rows.
      await writer.write({}).catch(() => undefined)
      const unsaved = [...shelf.entries()].find((entry) => entry.journal.isUnsaved())
      if (unsaved !== undefined) {
        throw new ReplicaError(
          "storage-failed",
          `the index waits for document "${unsaved.id}", which could not be stored yet`,
        )
      }
      await writer.write({ blobs: [{ name: INDEX_BLOB, bytes: blob }] })
    },
    summarize: (keys) => reader.summarize(keys),
    async read(requests, peer) {
      const slice = createSlicer()
      const outcomes: ReadOutcome[] = []
      let bytes = 0
      for (let from = 0; from < requests.length; from += READ_CHUNK) {
        for (const outcome of await reader.read(requests.slice(from, from + READ_CHUNK), peer, slice)) {
          outcomes.push(outcome)
          if (outcome.type === "delta") bytes += outcome.delta.length
        }
        // The room asks again for the rest.
        if (bytes > READ_BYTES) break
      }
      return outcomes
    },
    async join(entries: readonly Incoming[], peer: ReplicaPeer) {
      const slice = createSlicer()
      const outcomes: JoinOutcome[] = []
      for (let from = 0; from < entries.length; from += JOIN_CHUNK) {
        const chunk = entries.slice(from, from + JOIN_CHUNK)
        outcomes.push(...(await joinChunk(chunk, peer, slice)))
      }
      return outcomes
    },
  }
}

function staleCursor(): ReplicaError {
  return new ReplicaError("stale-cursor", "the position is not from this store: scan all of it")
}
