import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"

import { readVersion, type Version, writeVersion } from "./version.ts"

/** What the index knows of a stored document without opening it; written in the transaction that changes the document. */
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

const FORMAT = 1
const HASH_BYTES = 32

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

export function decodeRow(bytes: Uint8Array): DocumentRow {
  const read = new ByteReader(bytes)
  if (read.u8() !== FORMAT) throw new DecodeError("unknown-version")
  const status = read.u8() === 0 ? "live" : "deleted"
  const hash = read.bytes(HASH_BYTES).slice()
  const [snapshotBytes, logBytes, logCount, logNext] = [
    read.varint(),
    read.varint(),
    read.varint(),
    read.varint(),
  ]
  const changedAt = read.u53()
  const version = readVersion(read)
  read.end()
  return { status, hash, version, snapshotBytes, logBytes, logCount, logNext, changedAt }
}
