import type { ReplicaReport } from "@dunlin/core"

import type { StoredRow } from "../store/document-store.ts"
import { readRow } from "./document-row.ts"
import { announcedHash } from "./document-recovery.ts"
import type { DocumentShelf } from "./document-shelf-api.ts"

export interface RowHashOptions {
  readonly shelf: DocumentShelf
  report(report: ReplicaReport): void
}

/** Key and state hash of a stored document; null for a document of which this device can tell others nothing. */
export async function hashOfRow(
  { id, bytes, isNameless }: StoredRow,
  { shelf, report }: RowHashOptions,
): Promise<{ readonly key: string; readonly stateHash: Uint8Array | null } | null> {
  const row = readRow(bytes)
  if ("hash" in row) return { key: id, stateHash: row.hash }
  if (isNameless === true) {
    const reason =
      "a row of the encrypted store cannot be decrypted: its document is read without the row when it is opened, or when a peer sends it"
    report({ type: "quarantined", key: id, reason })
    return null
  }
  // The document itself may tell what its row does not.
  const [entry] = await shelf.take([id])
  if (entry === undefined) return null
  if (entry.phase === "unreadable") {
    report({ type: "quarantined", key: id, reason: row.reason, cause: entry.cause })
    return null
  }
  try {
    return { key: id, stateHash: announcedHash(entry) }
  } finally {
    shelf.release(entry)
  }
}
