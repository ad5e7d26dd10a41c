import { sameBytes } from "@dunlin/core"
import { sha256 } from "@noble/hashes/sha2.js"
import { encodeFrontiers, type LoroDoc } from "loro-crdt"

import { takeVersion, type Version } from "./version.ts"

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

export function sameHash(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : sameBytes(a, b)
}
