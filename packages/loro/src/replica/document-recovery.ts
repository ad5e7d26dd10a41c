import type { ReplicaReport } from "@dunlin/core"
import { sha256 } from "@noble/hashes/sha2.js"

import type { ApplySource } from "./change-source.ts"
import type { DocumentDelta } from "./document-delta.ts"
import type { ShelfEntry } from "./document-shelf-api.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"
import type { LiveDocument } from "./live-document.ts"
import type { DocumentDamage } from "./stored-document.ts"
import { covers, sameVersion, type Version } from "./version.ts"

/** A damaged document while it is in memory. */
export interface OpenDamage extends DocumentDamage {
  /**
   * What the room is told in place of the hash of what can be read. No other device announces this hash, so each of them
   * finds a difference and says what it holds, even if that is just as much.
   */
  readonly stateHash: Uint8Array
  /** Devices that this one has sent some of the readable part. */
  readonly supplied: Set<string>
}

export function openDamage(damage: DocumentDamage, device: string, supplied: Set<string>): OpenDamage {
  const stateHash = sha256(new TextEncoder().encode(`dunlin/1 loro damaged ${device}`))
  return { ...damage, stateHash, supplied }
}

/** The state hash that the room is told for an entry; null while nothing of it is in memory. */
export function announcedHash({ phase, live, damage }: ShelfEntry): Uint8Array | null {
  if (phase === "deleted") return TOMBSTONE_HASH
  return phase === "live" ? announcedFor(damage, live?.state().hash ?? null) : null
}

/** The same for a state that the entry was in before. */
export function announcedFor(damage: OpenDamage | null, hash: Uint8Array | null): Uint8Array | null {
  return damage === null || hash === null ? hash : damage.stateHash
}

/**
 * Whether a delta may mend a damaged document. A single edit says nothing about the rest of the document, and what the
 * lease holder has changed is read from the store.
 */
export function mayMend(delta: DocumentDelta, { origin, store }: ApplySource): boolean {
  if (store === "kept-elsewhere") return false
  return origin === "local" || delta.type !== "push"
}

/** What a device says it holds of a document: by an update that adds nothing, or by asking for the document. */
export interface Holding {
  readonly version: Version
  /** Public key, 64 hex digits. */
  readonly device: string
}

/**
 * Whether a device proves that it has nothing to add: it holds exactly what can be read here. That proves nothing if it got
 * some of it from here, or reads the same store.
 */
export function isWitness(
  { supplied }: OpenDamage,
  readable: Version,
  { version, device }: Holding,
  ownDevice: string,
): boolean {
  return device !== ownDevice && !supplied.has(device) && sameVersion(version, readable)
}

/** Continues the document with what could be read and what came. If edits are still missing, sets the unreadable parts aside as stored. */
export function mendDocument(
  entry: ShelfEntry,
  { pieces, version }: OpenDamage,
  live: LiveDocument,
  { source, report }: { readonly source: ApplySource; report(report: ReplicaReport): void },
): Promise<void> {
  entry.damage = null
  const isWhole = version !== null && covers(live.state().version, version)
  report({
    type: "warning",
    reason: isWhole
      ? `document "${entry.id}" was damaged in the store, and is whole again thanks to ${source.sender}`
      : `document "${entry.id}" was damaged in the store, and goes on with what could be read of it and what came from ${source.sender}: edits that were nowhere else are missing, and the unreadable parts are set aside`,
  })
  return entry.journal.rewrite(live, isWhole ? [] : pieces, source.batch)
}
