import { hashValue, type HashedValue } from "@dunlin/core"
import type { BulkWriteRow, RxCollection, RxStorageWriteError, WithDeleted } from "rxdb"
import { createRevision, getHeightOfRevision, now } from "rxdb/plugins/core"
import type { AttachmentStub, AttachmentStubs, DocumentData, DocumentShape, Row } from "./document-shape.ts"
import { type Stamp, STAMP_FIELD, storedStamp } from "./stamp.ts"

/** The context of change events for rows that this package wrote, which tells them from local writes. */
export const JOIN_CONTEXT = "dunlin-join"

/** Raw access to the rows of a collection, below its hooks and above its encryption. */
export interface CollectionRows {
  /** Rows by key, tombstones included. */
  find(keys: readonly string[]): Promise<ReadonlyMap<string, Row>>
  /** Writes rows as one batch; gives the errors by key. */
  write(
    writes: readonly BulkWriteRow<DocumentData>[],
  ): Promise<ReadonlyMap<string, RxStorageWriteError<DocumentData>>>
  /** The write that turns `previous` into this document under this stamp. Modifies `document` in place. */
  compose(
    document: WithDeleted<DocumentData>,
    previous: Row | undefined,
    write: RowWrite,
  ): BulkWriteRow<DocumentData>
  contentOf(row: Row): HashedValue
  /** The data of an attachment that the row has under this name. */
  attachmentData(key: string, name: string, stored: AttachmentStub): Promise<Blob>
  /** Reads those lengths of attachments that neither the row nor its stamp states. */
  measure(row: Row): Promise<void>
}

export interface RowWrite {
  readonly stamp: Omit<Stamp, "height">
  /** Attachments of the row, with data for those that the previous row lacks. */
  readonly attachments: AttachmentWrites
}

export type AttachmentWrites =
  | AttachmentStubs
  | { readonly [id: string]: AttachmentStubs[string] & { readonly data: Blob } }

export function collectionRows(collection: RxCollection, shape: DocumentShape): CollectionRows {
  const { database } = collection
  const instance = collection.storageInstance.originalStorageInstance
  const firstRevision = createRevision(database.token)

  const attachmentData = (key: string, name: string, { digest }: AttachmentStub): Promise<Blob> =>
    database.lockedRun(() => instance.getAttachmentData(key, name, digest))

  return {
    async find(keys) {
      const rows = await database.lockedRun(() => instance.findDocumentsById([...keys], true))
      return new Map(rows.map((row) => [shape.keyOf(row), row as Row]))
    },
    async write(writes) {
      if (writes.length === 0) return new Map()
      const { error } = await database.lockedRun(() => instance.bulkWrite([...writes], JOIN_CONTEXT))
      return new Map(error.map((one) => [one.documentId, one]))
    },
    compose(document, previous, { stamp, attachments }) {
      const revision = previous === undefined ? firstRevision : createRevision(database.token, previous)
      const height = previous === undefined ? 1 : getHeightOfRevision(revision)
      // The local wall clock, never the author's: RxDB's checkpoints follow it.
      const lengths = shape.attachments.stampedLengths(document)
      const own = { lwt: now(), [STAMP_FIELD]: storedStamp(stamp, height, lengths) }
      const written = Object.assign(document, {
        _attachments: attachments,
        _rev: revision,
        _meta: previous === undefined ? own : { ...previous._meta, ...own },
      }) as unknown as BulkWriteRow<DocumentData>["document"]
      if (previous === undefined) return { document: written }
      // A tombstone keeps its stubs after RxDB has removed their data; attachments equal to a stub would not be stored.
      return { previous: previous._deleted ? { ...previous, _attachments: {} } : previous, document: written }
    },
    contentOf: (row) => hashValue(shape.valueOf(row)),
    attachmentData,
    measure: (row) =>
      shape.attachments.measure(row, (name, stored) => attachmentData(shape.keyOf(row), name, stored)),
  }
}
