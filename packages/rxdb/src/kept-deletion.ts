import type { DocumentShape, Row } from "./document-shape.ts"
import type { KeptDeletion } from "./sidecar-record.ts"

/** What has to be kept of the row of a deleted document. Its fields do not matter any more. */
export function keptDeletion({ _rev, _meta }: Row): KeptDeletion {
  return { revision: _rev, meta: _meta }
}

export function isKept(row: Row, { revision }: KeptDeletion): boolean {
  return row._deleted && row._rev === revision
}

/** The row that was kept, as if it had not been purged. */
export function tombstoneOf(
  { primaryPath }: Pick<DocumentShape, "primaryPath">,
  key: string,
  { revision, meta }: KeptDeletion,
): Row {
  return { [primaryPath]: key, _deleted: true, _rev: revision, _meta: meta, _attachments: {} }
}
