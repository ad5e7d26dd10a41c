import { decodeImportBlobMeta, type VersionVector } from "loro-crdt"

import { describeLoroFailure } from "../loro-replica-error.ts"
import { countUnpackedBytes, MAX_LZ4_RATIO } from "./unpacked-bytes.ts"
import { countOperations, MAX_AUTHORS, MAX_COUNTER, takeVersion, type Version } from "./version.ts"

const MAGIC = 0x6c_6f_72_6f
const MODE_OFFSET = 20
const MODE_SNAPSHOT = 3
/** A snapshot that unpacks to no more than this may be compressed to any degree. */
const MIN_UNPACKED_BYTES = 1_048_576

/** How much one document may take up here if it comes from outside. */
export interface DocumentLimits {
  readonly maxBytes: number
  /** One operation takes a byte of an update or less of a snapshot, and may take Loro some three hundred bytes of memory. */
  readonly maxOperations: number
}

export interface UpdateRules extends DocumentLimits {
  /** What is held of the document that the bytes are for. */
  readonly held: Version
  /** Snapshots may be compressed a hundredfold, so they are taken only where nothing is held yet. */
  readonly snapshot: "allowed" | "refused"
}

/** Why bytes from outside must not be imported, or null. Reads headers and checksum, and makes no document. */
export function refuseUpdate(bytes: Uint8Array, rules: UpdateRules): string | null {
  if (bytes.length > rules.maxBytes) return tooLarge(bytes.length, rules.maxBytes)
  // Reading the metadata of a snapshot costs several times as much as its import, which makes the same checks and reads
  // the rest when it is needed. Whether the snapshot is shallow shows afterwards.
  if (rules.snapshot === "allowed" && isSnapshot(bytes)) return refuseBomb(bytes, rules.maxBytes)
  try {
    const meta = decodeImportBlobMeta(bytes, true)
    const bounded = freeAfter(meta.partialStartVersionVector, inBounds)
    const end = freeAfter(meta.partialEndVersionVector, (vector) =>
      inBounds(vector) ? new Map(vector.toJSON()) : null,
    )
    if (!bounded || end === null) return "operation counters out of bounds"
    // Loro reads as many operations from a block as its counters claim, whatever else is in it.
    if (meta.mode === "update") {
      return refuseAuthors(rules.held, end) ?? refuseAddedOperations(rules.held, end, rules.maxOperations)
    }
    if (meta.mode === "snapshot")
      return rules.snapshot === "allowed" ? null : "a snapshot where an update was expected"
    return `an update in a form that is not accepted (${meta.mode})`
  } catch (error) {
    return `not a Loro update: ${describeLoroFailure(error).reason}`
  }
}

/**
 * Half a megabyte of a snapshot may unpack to a hundred megabytes, all of it in memory that WebAssembly never gives
 * back. The limit is twice `maxBytes`, because a snapshot holds the text of a document twice: in history and state.
 */
function refuseBomb(bytes: Uint8Array, maxBytes: number): string | null {
  const limit = Math.max(MIN_UNPACKED_BYTES, 2 * maxBytes)
  if (bytes.length * MAX_LZ4_RATIO <= limit || countUnpackedBytes(bytes, limit) <= limit) return null
  return tooLarge(`unpacked more than ${limit}`, limit)
}

function refuseAddedOperations(held: Version, end: Version, maxOperations: number): string | null {
  let added = 0
  for (const [peer, counter] of end) added += Math.max(0, counter - (held.get(peer) ?? 0))
  return added === 0 ? null : refuseOperations(countOperations(held) + added, maxOperations)
}

/**
 * Why a document must not get the authors that an update or snapshot adds, or null. With more authors than a version may
 * list, no device could say any more what it holds of the document.
 */
export function refuseAuthors(held: Version, added: Version): string | null {
  let authors = held.size
  for (const peer of added.keys()) if (!held.has(peer)) authors += 1
  const isTooMany = authors > held.size && authors > MAX_AUTHORS
  return isTooMany ? `${authors} authors, of at most ${MAX_AUTHORS}` : null
}

/** Why a document of this many operations must not be kept, or null. A snapshot shows its count once imported, before it is read. */
export function refuseOperations(count: number, maxOperations: number): string | null {
  return count <= maxOperations ? null : `${count} operations, of at most ${maxOperations}`
}

function tooLarge(bytes: number | string, limit: number): string {
  return `${bytes} bytes, of at most ${limit}`
}

/** Whether one of these checks gave this reason for something too large. */
export function isTooLarge(reason: string): boolean {
  return /(bytes|operations|authors), of at most \d+$/.test(reason)
}

/** For each peer with operations in an update or snapshot, the counters at which they begin and end. */
export function readSpan(bytes: Uint8Array): { readonly start: Version; readonly end: Version } {
  const meta = decodeImportBlobMeta(bytes, false)
  const end = takeVersion(meta.partialEndVersionVector)
  const start = takeVersion(meta.partialStartVersionVector)
  return { start: new Map([...end.keys()].map((peer) => [peer, start.get(peer) ?? 0])), end }
}

function isSnapshot(bytes: Uint8Array): boolean {
  if (bytes.length < MODE_OFFSET + 2) return false
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return view.getUint32(0) === MAGIC && view.getUint16(MODE_OFFSET) === MODE_SNAPSHOT
}

function inBounds(vector: VersionVector): boolean {
  for (const counter of vector.toJSON().values()) if (counter < 0 || counter > MAX_COUNTER) return false
  return true
}

function freeAfter<Result>(vector: VersionVector, use: (vector: VersionVector) => Result): Result {
  try {
    return use(vector)
  } finally {
    vector.free()
  }
}
