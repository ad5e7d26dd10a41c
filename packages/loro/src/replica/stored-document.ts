import type { Random } from "@dunlin/core"
import type { LoroDoc } from "loro-crdt"

import { describeLoroFailure, LoroReplicaError } from "../loro-replica-error.ts"
import type { OpenDocumentStore, StoredDocument } from "../store/document-store.ts"
import { parseDelta } from "./document-delta.ts"
import { type DocumentRow, readRow, type StoredRowState } from "./document-row.ts"
import { type DocumentState, readState } from "./document-state.ts"
import { createLoroDoc, freeQuietly } from "./live-document.ts"
import { covers, type Version } from "./version.ts"

/** What could be read of a stored document. */
export type StoredContent =
  | { readonly type: "deleted"; readonly row: DocumentRow | null }
  | {
      readonly type: "present"
      /** Holds the inbox as well: durable edits of tabs that the lease holder has yet to move into the log. */
      readonly doc: LoroDoc
      /** Null if it is missing or damaged. */
      readonly row: DocumentRow | null
      /** The state of snapshot and log, without the inbox. */
      readonly state: DocumentState
      /** Updates in the log that wait for operations missing from it. */
      readonly waiting: Uint8Array | null
      /** Null for a document that is whole, or that its own content restores, since its row says nothing more. */
      readonly damage: DocumentDamage | null
    }

/** What is wrong with a stored document whose readable parts are in memory. */
export interface DocumentDamage {
  readonly reason: string
  /** The unreadable parts, as stored. */
  readonly pieces: readonly Uint8Array[]
  /** What the document held; null if its row does not tell. */
  readonly version: Version | null
}

/** The inbox is usually empty. If it has this many entries, every document is looked up in the store instead. */
const INBOX_LOOK = 32

/**
 * Finds out which of these documents the store may hold something of, so that new ones need no lookup of their own. Only
 * the lease holder may rely on it: nobody else writes rows.
 */
export async function findStored(
  store: OpenDocumentStore,
  ids: readonly string[],
): Promise<(id: string) => boolean> {
  const [rows, inbox] = await Promise.all([store.rows(ids), store.inbox(0, INBOX_LOOK)])
  const stored = new Set(ids.filter((_, index) => rows[index] !== null))
  for (const { id } of inbox) stored.add(id)
  return (id) => inbox.length === INBOX_LOOK || stored.has(id)
}

/** Throws `LoroReplicaError` "document-corrupt" for a document that a newer version of the application wrote. */
export function readStored(id: string, stored: StoredDocument, random: Random): StoredContent {
  const read = stored.row === null ? null : readRow(stored.row)
  if (read?.status === "newer") throw describeNewer(id, read.reason)
  const row = read?.status === "damaged" ? null : read
  const inbox = inboxOf(stored)
  if (row?.status === "deleted" || inbox.some(({ delta }) => delta.type === "tombstone"))
    return { type: "deleted", row }
  const opened = openStored(stored, random)
  const state = readState(opened.doc)
  const waiting = opened.doc.exportPendingUpdates() ?? null
  const damage = findDamage(stored, read, opened)
  const doc = withInbox(opened.doc, inbox, () => openStored(stored, random).doc)
  return { type: "present", doc, row, state, waiting, damage }
}

/** Whether the readable parts hold all that the document held, as when it was mended in memory and could not be stored. */
export function isCovered(damage: DocumentDamage, version: Version): boolean {
  return damage.version !== null && covers(version, damage.version)
}

/** The error with which opening a damaged document rejects. */
export function describeDamage(id: string, { reason }: DocumentDamage): LoroReplicaError {
  return new LoroReplicaError(
    "document-corrupt",
    `document "${id}" is damaged in the store and nothing of it was changed (${reason}): it opens again once another device that holds it was connected, or an export of it was imported; salvage() gives what can be read`,
  )
}

/** What to import, in order. */
export function storedBlobs({ snapshot, log }: StoredDocument): readonly Uint8Array[] {
  const updates = log.map((item) => item.bytes)
  return snapshot === null ? updates : [snapshot, ...updates]
}

interface OpenedStored {
  readonly doc: LoroDoc
  /** Why Loro rejects a part, by part. */
  readonly reasonsByPart: ReadonlyMap<Uint8Array, string>
}

/** Reads what it can of the snapshot and the log. Updates that build on an unreadable part wait inside Loro. */
function openStored(stored: StoredDocument, random: Random): OpenedStored {
  const reasonsByPart = new Map<Uint8Array, string>()
  return { doc: importParts(storedBlobs(stored), reasonsByPart, random), reasonsByPart }
}

function importParts(
  parts: readonly Uint8Array[],
  reasonsByPart: Map<Uint8Array, string>,
  random: Random,
): LoroDoc {
  const doc = createLoroDoc(random)
  for (const part of parts) {
    if (reasonsByPart.has(part)) continue
    try {
      // One by one: Loro's `importBatch` takes quadratic time where a log adds much in one place.
      doc.import(part)
    } catch (error) {
      const { trap, reason } = describeLoroFailure(error)
      reasonsByPart.set(part, reason)
      if (!trap) continue
      freeQuietly(doc)
      return importParts(parts, reasonsByPart, random)
    }
  }
  return doc
}

function findDamage(
  stored: StoredDocument,
  row: StoredRowState | null,
  { reasonsByPart }: OpenedStored,
): DocumentDamage | null {
  const parts = storedBlobs(stored)
  const version = row?.status === "live" ? row.version : null
  const unreadable = [...reasonsByPart.keys()].filter((part) => part.length > 0)
  const pieces = [...unreadable, ...(stored.unreadable ?? [])]
  const [reason] = reasonsByPart.values()
  if (reason !== undefined) {
    const what = `${reasonsByPart.size} of its ${parts.length} parts cannot be read: ${reason}`
    return { reason: what, pieces, version }
  }
  if (parts.length > 0 || stored.inbox.length > 0 || row === null) return null
  if (row.status === "live") return { reason: "its content is missing", pieces, version }
  if (row.status !== "damaged" || stored.row === null) return null
  // The document may have been deleted, or its content may be lost too. Assuming either would affect all devices.
  return { reason: row.reason, pieces: stored.row.length > 0 ? [stored.row, ...pieces] : pieces, version }
}

function describeNewer(id: string, reason: string): LoroReplicaError {
  return new LoroReplicaError("document-corrupt", `document "${id}" cannot be read here: ${reason}`)
}

/** An edit of another tab, not in the log yet. */
interface InboxEdit {
  readonly key: number
  readonly delta: ReturnType<typeof parseDelta>
}

function inboxOf(stored: StoredDocument): readonly InboxEdit[] {
  return stored.inbox.map(({ key, bytes }) => ({ key, delta: parseDelta(bytes) }))
}

/**
 * Imports the edits into the document. Those that Loro rejects stay in the inbox, and whoever moves the inbox reports them. If
 * an edit breaks the instance, `open` makes another one without that edit.
 */
function withInbox(doc: LoroDoc, inbox: readonly InboxEdit[], open: () => LoroDoc): LoroDoc {
  for (const { key, delta } of inbox) {
    try {
      if (delta.type === "push") doc.import(delta.update)
      if (delta.type === "snapshot") doc.import(delta.snapshot)
    } catch (error) {
      if (!describeLoroFailure(error).trap) continue
      freeQuietly(doc)
      const others = inbox.filter((other) => other.key !== key)
      return withInbox(open(), others, open)
    }
  }
  return doc
}
