import { ByteReader, ByteWriter, DecodeError } from "@dunlin/core"

import { AUDIT_BYTES, type DocumentAudit } from "./document-audit.ts"
import { EMPTY_VERSION, readVersion, type Version, writeVersion } from "./version.ts"

/** What travels for one document. The version in it is the sender's own, so that the receiver sees what the sender lacks. */
export type DocumentDelta =
  /** A live change, kept small: the update itself names what it builds on. `audit` is of the state before it, if the document rested there. */
  | { readonly type: "push"; readonly update: Uint8Array; readonly audit?: DocumentAudit }
  /** `update` is empty when the sender has nothing that the reader lacks. */
  | { readonly type: "update"; readonly version: Version; readonly update: Uint8Array }
  /** The whole document, for a reader that holds nothing of it. */
  | { readonly type: "snapshot"; readonly version: Version; readonly snapshot: Uint8Array }
  | { readonly type: "tombstone" }

/** What a replica says it holds of one document. */
export type DocumentSummary =
  | { readonly type: "nothing" }
  | { readonly type: "version"; readonly version: Version }
  | { readonly type: "tombstone" }

const FORMAT = 1
const TAG_PUSH = 0
const TAG_UPDATE = 1
const TAG_SNAPSHOT = 2
const TAG_TOMBSTONE = 3
const TAG_AUDITED_PUSH = 4
/** The wire limit for a summary (PROTOCOL.md), which the core checks too. */
const MAX_SUMMARY_BYTES = 262_144

/**
 * `version u8 | tag u8`, then for update and snapshot the sender's version, or for an audited push `base 8 | content 8`,
 * then Loro's bytes to the end.
 */
export function encodeDelta(delta: DocumentDelta): Uint8Array<ArrayBuffer> {
  switch (delta.type) {
    case "push":
      return encodePush(delta.update, delta.audit)
    case "update":
      return withSender(TAG_UPDATE, delta.version, delta.update)
    case "snapshot":
      return withSender(TAG_SNAPSHOT, delta.version, delta.snapshot)
    case "tombstone":
      return new ByteWriter(2).u8(FORMAT).u8(TAG_TOMBSTONE).finish()
  }
}

/** Total over hostile input: a delta whose Loro bytes are still unread, or `DecodeError`. */
export function decodeDelta(bytes: Uint8Array): DocumentDelta {
  const read = new ByteReader(bytes)
  if (read.u8() !== FORMAT) throw new DecodeError("unknown-version")
  const tag = read.u8()
  switch (tag) {
    case TAG_PUSH:
      return { type: "push", update: read.rest() }
    case TAG_AUDITED_PUSH: {
      const audit = { base: read.bytes(AUDIT_BYTES), content: read.bytes(AUDIT_BYTES) }
      return { type: "push", audit, update: read.rest() }
    }
    case TAG_UPDATE:
      return { type: "update", version: readVersion(read), update: read.rest() }
    case TAG_SNAPSHOT:
      return { type: "snapshot", version: readVersion(read), snapshot: read.rest() }
    case TAG_TOMBSTONE:
      read.end()
      return { type: "tombstone" }
    default:
      throw new DecodeError("unknown-tag", `delta ${tag}`)
  }
}

/** Total over hostile input: the delta, or why not. */
export function parseDelta(
  bytes: Uint8Array,
): DocumentDelta | { readonly type: "invalid"; readonly reason: string } {
  try {
    return decodeDelta(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return { type: "invalid", reason: error.message }
    throw error
  }
}

/** The summary "nothing" is empty; any other is `version u8 | tag u8`, then the version. */
export function encodeSummary(summary: DocumentSummary): Uint8Array<ArrayBuffer> {
  if (summary.type === "nothing") return new Uint8Array(0)
  const write = new ByteWriter(64).u8(FORMAT)
  if (summary.type === "tombstone") return write.u8(TAG_TOMBSTONE).finish()
  write.u8(TAG_UPDATE)
  writeVersion(write, summary.version)
  return write.finish()
}

export function decodeSummary(bytes: Uint8Array): DocumentSummary {
  if (bytes.length === 0) return { type: "nothing" }
  if (bytes.length > MAX_SUMMARY_BYTES) throw new DecodeError("frame-too-large")
  const read = new ByteReader(bytes)
  if (read.u8() !== FORMAT) throw new DecodeError("unknown-version")
  const tag = read.u8()
  if (tag !== TAG_UPDATE && tag !== TAG_TOMBSTONE) throw new DecodeError("unknown-tag", `summary ${tag}`)
  const version = tag === TAG_UPDATE ? readVersion(read) : EMPTY_VERSION
  read.end()
  return tag === TAG_UPDATE ? { type: "version", version } : { type: "tombstone" }
}

function encodePush(update: Uint8Array, audit: DocumentAudit | undefined): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(2 + 2 * AUDIT_BYTES + update.length).u8(FORMAT)
  if (audit === undefined) write.u8(TAG_PUSH)
  else write.u8(TAG_AUDITED_PUSH).bytes(audit.base).bytes(audit.content)
  return write.bytes(update).finish()
}

function withSender(tag: number, version: Version, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(payload.length + 16 + version.size * 12).u8(FORMAT).u8(tag)
  writeVersion(write, version)
  return write.bytes(payload).finish()
}
