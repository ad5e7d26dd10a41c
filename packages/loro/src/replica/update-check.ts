import { decodeImportBlobMeta, type VersionVector } from "loro-crdt"

import { describeLoroFailure } from "../loro-replica-error.ts"
import { countUnpackedBytes, MAX_LZ4_RATIO } from "./unpacked-bytes.ts"
import { MAX_COUNTER, takeVersion, type Version } from "./version.ts"

const MAGIC = 0x6c_6f_72_6f
const MODE_OFFSET = 20
const MODE_SNAPSHOT = 3
/** Small documents may be packed as well as they can. */
const MIN_UNPACKED_BYTES = 1_048_576

export interface UpdateRules {
  readonly maxBytes: number
  /** Snapshots may be compressed a hundredfold, so they are taken only where nothing is held yet. */
  readonly snapshot: "allowed" | "refused"
}

/** Why bytes from outside are not to be imported, or null. Reads headers and checksum, makes no document. */
export function refuseUpdate(bytes: Uint8Array, rules: UpdateRules): string | null {
  if (bytes.length > rules.maxBytes) return tooLarge(bytes.length, rules.maxBytes)
  // Reading what a snapshot holds costs several times its import, which checks the same and reads the rest when it
  // is needed; whether it is shallow shows afterwards.
  if (rules.snapshot === "allowed" && isSnapshot(bytes)) return refuseBomb(bytes, rules.maxBytes)
  try {
    const meta = decodeImportBlobMeta(bytes, true)
    const bounded =
      freeAfter(meta.partialStartVersionVector, inBounds) && freeAfter(meta.partialEndVersionVector, inBounds)
    if (!bounded) return "operation counters out of bounds"
    if (meta.mode === "update") return null
    if (meta.mode === "snapshot")
      return rules.snapshot === "allowed" ? null : "a snapshot where an update was due"
    return `an update in a form that is not taken (${meta.mode})`
  } catch (error) {
    return `not a Loro update: ${describeLoroFailure(error).reason}`
  }
}

/**
 * Half a megabyte of a snapshot may unpack to a hundred megabytes, all of it in memory that WebAssembly never gives
 * back. A document whose update would be taken holds its text twice in a snapshot: in the history and in the state.
 */
function refuseBomb(bytes: Uint8Array, maxBytes: number): string | null {
  const limit = Math.max(MIN_UNPACKED_BYTES, 2 * maxBytes)
  if (bytes.length * MAX_LZ4_RATIO <= limit || countUnpackedBytes(bytes, limit) <= limit) return null
  return tooLarge(`unpacked more than ${limit}`, limit)
}

function tooLarge(bytes: number | string, limit: number): string {
  return `${bytes} bytes, of at most ${limit}`
}

/** Whether these are the words of `refuseUpdate` for what is too large. */
export function isTooLarge(reason: string): boolean {
  return /bytes, of at most \d+$/.test(reason)
}

/** Where the operations of an update or snapshot begin, for each peer that it has any of. */
export function readStart(bytes: Uint8Array): Version {
  const meta = decodeImportBlobMeta(bytes, false)
  const end = takeVersion(meta.partialEndVersionVector)
  const start = takeVersion(meta.partialStartVersionVector)
  return new Map([...end.keys()].map((peer) => [peer, start.get(peer) ?? 0]))
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

function freeAfter(vector: VersionVector, use: (vector: VersionVector) => boolean): boolean {
  try {
    return use(vector)
  } finally {
    vector.free()
  }
}
