import { sameBytes } from "@dunlin/core"
import { sha256 } from "@noble/hashes/sha2.js"
import { encodeFrontiers, type LoroDoc } from "loro-crdt"

import { takeVersion, type Version, withVector } from "./version.ts"

/** What the room compares, and what shows which edits a peer lacks. Read after a commit: Loro counts uncommitted operations too. */
export interface DocumentState {
  /** SHA-256 over the encoded frontiers, which are canonical; null while the document holds no operation. */
  readonly hash: Uint8Array | null
  readonly version: Version
}

/** The state hash of every deleted document: nothing matters about it but that it is deleted. */
export const TOMBSTONE_HASH: Uint8Array = sha256(new TextEncoder().encode("dunlin/1 loro tombstone"))

export function readState(doc: LoroDoc): DocumentState {
  const version = takeVersion(doc.oplogVersion())
  return { hash: version.size === 0 ? null : sha256(encodeFrontiers(doc.oplogFrontiers())), version }
}

/** The state before the last operations of the document's own peer id. */
export function readStateWithout(doc: LoroDoc, now: DocumentState, operations: number): DocumentState {
  const version = new Map(now.version)
  const left = (version.get(doc.peerIdStr) ?? 0) - operations
  if (left > 0) version.set(doc.peerIdStr, left)
  else version.delete(doc.peerIdStr)
  if (version.size === 0) return { hash: null, version }
  const frontiers = withVector(version, (vector) => doc.vvToFrontiers(vector))
  return { hash: sha256(encodeFrontiers(frontiers)), version }
}

export function sameHash(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : sameBytes(a, b)
}
