import { DecodeError, type ReadOutcome, type ReadRequest, type ReplicaReport } from "@dunlin/core"

import { describeLoroFailure } from "../loro-replica-error.ts"
import type { OpenDocumentStore } from "../store/document-store.ts"
import { isIntact } from "./blob-checksum.ts"
import {
  type DocumentDelta,
  decodeSummary,
  type DocumentSummary,
  encodeDelta,
  encodeSummary,
} from "./document-delta.ts"
import { isDocumentId } from "./document-id.ts"
import { announcedHash } from "./document-recovery.ts"
import { type DocumentRow, readRow } from "./document-row.ts"
import type { DocumentSet } from "./document-set.ts"
import type { DocumentShelf, ShelfEntry } from "./document-shelf-api.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"
import { countOperations, covers, EMPTY_VERSION, type Version } from "./version.ts"

export interface DocumentReaderOptions {
  readonly shelf: DocumentShelf
  readonly set: Pick<DocumentSet, "heardOf">
  readonly store: OpenDocumentStore
  report(report: ReplicaReport): void
}

/** Tells peers what this device holds. Opens only documents of which the asking peer lacks something. */
export interface DocumentReader {
  summarize(keys: readonly string[]): Promise<readonly Uint8Array[]>
  /** One outcome per request, in order; `pause` is awaited between documents. */
  read(
    requests: readonly ReadRequest[],
    reader: { readonly device: string },
    pause: () => Promise<void>,
  ): Promise<readonly ReadOutcome[]>
}

/** What this device holds of a document, open or not. */
interface Held {
  readonly hash: Uint8Array
  /** Null for a deleted document. */
  readonly version: Version | null
  /** Whether the stored snapshot is the whole document. */
  readonly snapshotOnly: boolean
}

/** Up to this many operations, a whole document travels as an update, which is smaller and not compressed. */
const SNAPSHOT_FROM_OPERATIONS = 1_000

export function createDocumentReader({ shelf, set, store, report }: DocumentReaderOptions): DocumentReader {
  const hold = async (keys: readonly string[]): Promise<readonly (Held | null)[]> => {
    const closed = keys.filter((key) => isDocumentId(key) && heldOnShelf(key) === undefined)
    const rows = closed.length === 0 ? [] : await store.rows(closed)
    const rowsByKey = new Map<string, DocumentRow>()
    for (const [index, key] of closed.entries()) {
      const bytes = rows[index] ?? null
      const row = bytes === null ? null : readRow(bytes)
      if (row !== null && "hash" in row) rowsByKey.set(key, row)
      // The document itself may tell what its row does not. Once taken, it is on the shelf.
      else if (row !== null)
        for (const entry of await shelf.take([key])) if (entry.phase !== "unreadable") shelf.release(entry)
    }
    return keys.map((key) => {
      const open = heldOnShelf(key)
      if (open !== undefined) return open
      const row = rowsByKey.get(key)
      if (row === undefined) return null
      return {
        hash: row.hash,
        version: row.status === "live" ? row.version : null,
        snapshotOnly: row.snapshotBytes > 0 && row.logCount === 0,
      }
    })
  }

  const heldOnShelf = (key: string): Held | null | undefined => {
    const entry = shelf.get(key)
    if (entry?.phase === "deleted") return { hash: TOMBSTONE_HASH, version: null, snapshotOnly: false }
    if (entry?.phase !== "live" || entry.live === null) return undefined
    entry.live.settle()
    const hash = announcedHash(entry)
    const { version } = entry.live.state()
    return hash === null ? null : { hash, version, snapshotOnly: false }
  }

  const readOne = async (
    { key, device }: { readonly key: string; readonly device: string },
    summary: DocumentSummary,
    held: Held,
  ): Promise<ReadOutcome> => {
    const open = shelf.get(key)
    if (open !== undefined) noteHolding(open, summary, device)
    if (held.version === null) return tombstone(held.hash)
    const known = summary.type === "version" ? summary.version : EMPTY_VERSION
    if (summary.type === "tombstone" || covers(known, held.version)) {
      const hash = (open === undefined ? null : announcedHash(open)) ?? held.hash
      return delta(hash, { type: "update", version: held.version, update: new Uint8Array(0) })
    }
    if (summary.type === "nothing" && held.snapshotOnly) {
      // A failure to read is reported below, where the shelf fails to read it too.
      const stored = await store.load(key).catch(() => null)
      // A peer would refuse a damaged snapshot, and not ask for it again once it is mended.
      if (
        stored !== null &&
        stored.log.length === 0 &&
        stored.snapshot !== null &&
        isIntact(stored.snapshot)
      ) {
        return delta(held.hash, { type: "snapshot", version: held.version, snapshot: stored.snapshot })
      }
    }
    const [entry] = await shelf.take([key])
    if (entry === undefined) return { type: "none" }
    if (entry.phase === "unreadable") {
      report({ type: "quarantined", key, reason: "it cannot be read from the store", cause: entry.cause })
      return { type: "refused", reason: "this document cannot be read here" }
    }
    try {
      noteHolding(entry, summary, device)
      return exportEntry(entry, summary, known)
    } finally {
      shelf.release(entry)
    }
  }

  /** A request says what its device holds. Of a damaged document that may be all there is. */
  const noteHolding = (entry: ShelfEntry, summary: DocumentSummary, device: string): void => {
    if (entry.damage === null || entry.live === null || summary.type === "tombstone") return
    const version = summary.type === "version" ? summary.version : EMPTY_VERSION
    if (covers(version, entry.live.state().version)) set.heardOf(entry, { version, device })
    else entry.damage.supplied.add(device)
  }

  const exportEntry = (entry: ShelfEntry, summary: DocumentSummary, known: Version): ReadOutcome => {
    if (entry.phase === "deleted") return tombstone(TOMBSTONE_HASH)
    const { live } = entry
    if (live === null) return { type: "none" }
    live.settle()
    const hash = announcedHash(entry)
    const { version } = live.state()
    if (hash === null) return { type: "none" }
    const whole = summary.type === "nothing" && countOperations(version) > SNAPSHOT_FROM_OPERATIONS
    try {
      return whole
        ? delta(hash, { type: "snapshot", version, snapshot: live.snapshot() })
        : delta(hash, { type: "update", version, update: live.updateSince(known) })
    } catch (error) {
      const { trap, reason } = describeLoroFailure(error)
      report({ type: "quarantined", key: entry.id, reason: `Loro failed to export: ${reason}` })
      // `reload` reports its own failure.
      if (trap) shelf.reload(entry).catch(() => undefined)
      return { type: "refused", reason: "this document cannot be exported" }
    }
  }

  return {
    async summarize(keys) {
      const held = await hold(keys)
      return held.map((one) => {
        if (one === null) return encodeSummary({ type: "nothing" })
        return encodeSummary(
          one.version === null ? { type: "tombstone" } : { type: "version", version: one.version },
        )
      })
    },
    async read(requests, { device }, pause) {
      const held = await hold(requests.map((request) => request.key))
      const outcomes: ReadOutcome[] = []
      for (const [index, { key, summary }] of requests.entries()) {
        const one = held[index] ?? null
        const asked = parseSummary(summary)
        if (asked.type === "invalid") outcomes.push({ type: "refused", reason: asked.reason })
        else outcomes.push(one === null ? { type: "none" } : await readOne({ key, device }, asked, one))
        await pause()
      }
      return outcomes
    },
  }
}

function delta(stateHash: Uint8Array, content: DocumentDelta): ReadOutcome {
  return { type: "delta", stateHash, delta: encodeDelta(content) }
}

function tombstone(stateHash: Uint8Array): ReadOutcome {
  return delta(stateHash, { type: "tombstone" })
}

function parseSummary(
  bytes: Uint8Array,
): DocumentSummary | { readonly type: "invalid"; readonly reason: string } {
  try {
    return decodeSummary(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return { type: "invalid", reason: error.message }
    throw error
  }
}
