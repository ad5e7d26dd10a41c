import type { Random } from "@dunlin/core"
import type { LoroDoc } from "loro-crdt"

import { describeLoroFailure, LoroReplicaError } from "../loro-replica-error.ts"
import type { StoredDocument } from "../store/document-store.ts"
import { parseDelta } from "./document-delta.ts"
import type { StoredRowState } from "./document-row.ts"
import { createLoroDoc, freeQuietly } from "./live-document.ts"
import { covers, type Version } from "./version.ts"

/** An edit of another tab, not in the log yet. */
interface InboxEdit {
  readonly key: number
  readonly delta: ReturnType<typeof parseDelta>
}

/** What is wrong with a stored document whose readable parts are in memory. */
export interface DocumentDamage {
  readonly reason: string
  /** The unreadable parts, as stored. */
  readonly pieces: readonly Uint8Array[]
  /** What the document held; null if its row does not tell. */
  readonly version: Version | null
}

interface OpenedStored {
  readonly doc: LoroDoc
  /** Why Loro rejects a part, by part. */
  readonly reasonsByPart: ReadonlyMap<Uint8Array, string>
}

/** Reads what it can of the snapshot and the log. Updates that build on an unreadable part wait inside Loro. */
export function openStored(stored: StoredDocument, random: Random): OpenedStored {
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

/** Null for a document that is whole, or that can be restored from its own content, since its row says nothing more. */
export function findDamage(
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

/** Whether the readable parts hold all that the document held, as when it was mended in memory and could not be stored. */
export function isCovered(damage: DocumentDamage, version: Version): boolean {
  return damage.version !== null && covers(version, damage.version)
}

export function describeNewer(id: string, reason: string): LoroReplicaError {
  return new LoroReplicaError("document-corrupt", `document "${id}" cannot be read here: ${reason}`)
}

/** The error with which opening a damaged document rejects. */
export function describeDamage(id: string, { reason }: DocumentDamage): LoroReplicaError {
  return new LoroReplicaError(
    "document-corrupt",
    `document "${id}" is damaged in the store and nothing of it was changed (${reason}): it opens again once another device that holds it was connected, or an export of it was imported; salvage() gives what can be read`,
  )
}

/**
 * Imports the edits into the document. Those that Loro rejects stay in the inbox, and whoever moves the inbox reports them. If
 * an edit breaks the instance, `open` makes another one without that edit.
 */
export function withInbox(doc: LoroDoc, inbox: readonly InboxEdit[], open: () => LoroDoc): LoroDoc {
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

export function inboxOf(stored: StoredDocument): readonly InboxEdit[] {
  return stored.inbox.map(({ key, bytes }) => ({ key, delta: parseDelta(bytes) }))
}

/** What to import, in order. */
export function storedBlobs({ snapshot, log }: StoredDocument): readonly Uint8Array[] {
  const updates = log.map((item) => item.bytes)
  return snapshot === null ? updates : [snapshot, ...updates]
}
