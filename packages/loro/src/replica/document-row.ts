import { ByteReader, ByteWriter, DecodeError, sameBytes } from "@dunlin/core"

import { reasonOf } from "../loro-replica-error.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"
import { EMPTY_VERSION, readVersion, type Version, writeVersion } from "./version.ts"

/** What the index knows about a stored document without opening it. Written in the same transaction as each change of the document. */
export interface DocumentRow {
  readonly status: "live" | "deleted"
  /** 32 bytes. */
  readonly hash: Uint8Array
  readonly version: Version
  readonly snapshotBytes: number
  readonly logBytes: number
  readonly logCount: number
  /** The number of the next log entry. */
  readonly logNext: number
  /** Wall clock of the last change here, in milliseconds. */
  readonly changedAt: number
}

/** A row as read from the store. */
export type StoredRowState =
  | DocumentRow
  /** It says nothing about its document. */
  | { readonly status: "damaged"; readonly reason: string }
  /** Written by a newer version of the application: this version must neither interpret nor overwrite it. */
  | { readonly status: "newer"; readonly reason: string }

const FORMAT = 1
const HASH_OFFSET = 2
const HASH_BYTES = 32
/** More than a version may list on the wire: what only this device has edited must stay readable here. */
const MAX_STORED_AUTHORS = 1_048_576

export function encodeRow(row: DocumentRow): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(80 + row.version.size * 12)
    .u8(FORMAT)
    .u8(row.status === "live" ? 0 : 1)
    .bytes(row.hash)
    .varint(row.snapshotBytes)
    .varint(row.logBytes)
    .varint(row.logCount)
    .varint(row.logNext)
    .u53(Math.max(0, Math.floor(row.changedAt)))
  writeVersion(write, row.version)
  return write.finish()
}

/** Total over damaged bytes. */
export function readRow(bytes: Uint8Array): StoredRowState {
  try {
    return decodeRow(bytes)
  } catch (error) {
    if (holdsTombstone(bytes)) return tombstoneRow(bytes)
    const version = bytes[0] ?? 0
    if (version <= FORMAT) return { status: "damaged", reason: `its row is damaged (${reasonOf(error)})` }
    const reason = `its row is of version ${version}, written by a newer version of the application: update the application`
    return { status: "newer", reason }
  }
}

/** Throws `DecodeError`. */
export function decodeRow(bytes: Uint8Array): DocumentRow {
  const read = new ByteReader(bytes)
  if (read.u8() !== FORMAT) throw new DecodeError("unknown-version")
  const tag = read.u8()
  const hash = read.bytes(HASH_BYTES).slice()
  // A flipped bit must not turn a live document into a deleted one: peers would delete theirs.
  if (tag > 1 || (tag === 1) !== sameBytes(hash, TOMBSTONE_HASH)) throw new DecodeError("unknown-tag", "row")
  const status = tag === 0 ? "live" : "deleted"
  const [snapshotBytes, logBytes, logCount, logNext] = [
    read.varint(),
    read.varint(),
    read.varint(),
    read.varint(),
  ]
  const changedAt = read.u53()
  const version = readVersion(read, MAX_STORED_AUTHORS)
  read.end()
  return { status, hash, version, snapshotBytes, logBytes, logCount, logNext, changedAt }
}

/** Only a deletion has these 32 bytes: whatever happened to the rest of the row, its document stays deleted. */
function holdsTombstone(bytes: Uint8Array): boolean {
  return (
    bytes.length >= HASH_OFFSET + HASH_BYTES &&
    sameBytes(bytes.subarray(HASH_OFFSET, HASH_OFFSET + HASH_BYTES), TOMBSTONE_HASH)
  )
}

function tombstoneRow(bytes: Uint8Array): DocumentRow {
  const sizes = { snapshotBytes: 0, logBytes: 0, logCount: 0, logNext: 0, changedAt: 0 }
  const hash = bytes.slice(HASH_OFFSET, HASH_OFFSET + HASH_BYTES)
  return { status: "deleted", hash, version: EMPTY_VERSION, ...sizes }
}
