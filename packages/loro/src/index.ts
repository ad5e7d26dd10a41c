/**
 * Loro documents as a replica: stores, history, text bindings.
 *
 * @module @dunlin/loro
 */
export { loroReplica, type LoroReplicaOptions } from "./loro-replica.ts"
export type { DocumentInfo, DocumentStatus, LoroDocument, LoroDocuments } from "./loro-documents.ts"
export type { ChangeOrigin } from "./replica/change-source.ts"
export type { DocumentsEvent } from "./replica/document-news.ts"
export { LoroReplicaError, type LoroReplicaErrorCode } from "./loro-replica-error.ts"
export { AUTHORS_CONTAINER, DUNLIN_ORIGIN, RESTORE_ORIGIN } from "./history/authors.ts"
export { type DocumentHistory, type DocumentVersion, type HistoryEntry } from "./history/document-history.ts"
export { encryptedStore } from "./store/encrypted-store.ts"
export { browserStoreKey } from "./store/browser-store-key.ts"
export { deleteIndexedDbStore, indexedDbStore, type IndexedDbStoreOptions } from "./store/indexed-db-store.ts"
export { memoryStore, type MemoryStore } from "./store/memory-store.ts"
export type {
  DocumentStore,
  InboxEntry,
  LogEntry,
  LogRange,
  OpenDocumentStore,
  StoreBatch,
  StoredDocument,
  StoredRow,
  StoreLease,
} from "./store/document-store.ts"
export { insertText } from "./text/insert-text.ts"
export { textOf, type TextSource } from "./text/text-source.ts"
export {
  bindTextarea,
  type BindTextareaOptions,
  type TextBinding,
  type TextField,
} from "./text/bind-textarea.ts"
export { createTextUndo, type TextUndo, type TextUndoOptions } from "./text/text-undo.ts"
export {
  CURSOR_FIELD,
  presenceCursor,
  type PresenceCursorSink,
  readRemoteCursors,
  type RemoteCursor,
} from "./text/presence-cursor.ts"
