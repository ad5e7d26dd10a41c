import type { ReplicaLinkStatus, State } from "@dunlin/core"
import type { LoroDoc } from "loro-crdt"

import type { DocumentHistory } from "./history/document-history.ts"
import type { DocumentsEvent } from "./replica/document-news.ts"

/** The documents of a replica, as `room.replicate(loroReplica(…))` returns them. */
export interface LoroDocuments {
  /**
   * Opens the document with this id, and makes it if there is none yet. Opened twice, it is the same `LoroDoc`. Rejects
   * with `LoroReplicaError` "document-deleted", "document-corrupt", "invalid-document-id" or "closed".
   */
  open(id: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<LoroDocument>
  /**
   * Like `open`, but with a `LoroDoc` of yours, into which what is stored is imported. It stays yours: nothing frees it, and
   * once its handles are closed, nothing reads or changes it either. Rejects also with "document-open", if the id or this
   * `LoroDoc` is open already.
   */
  attach(id: string, doc: LoroDoc): Promise<LoroDocument>
  /**
   * Imports a Loro export, such as a file, also into a damaged document, which then opens again. Resolves when durable;
   * rejects with "invalid-update" or "too-large".
   */
  import(id: string, bytes: Uint8Array): Promise<void>
  /** A snapshot with the whole history. */
  export(id: string): Promise<Uint8Array>
  /**
   * Like `export`, but also for a document that rejects with "document-corrupt": a snapshot of what can be read of it.
   * Importing that under the same id makes it the document from then on, and sets aside what could not be read.
   */
  salvage(id: string): Promise<Uint8Array>
  /** Every document that is not deleted, in no particular order. Opens only those whose index entry is damaged. */
  list(): Promise<readonly DocumentInfo[]>
  /** Deletes for ever: a deletion beats every edit, even one made elsewhere at the same time. Resolves when durable here. */
  delete(id: string): Promise<void>
  /** Calls `listener` for every change, wherever it came from. Returns a function that ends the subscription. */
  subscribe(listener: (event: DocumentsEvent) => void): () => void
  /** Resolves when `peers` other devices (default 1) hold all documents as they are now. */
  synced(options?: { readonly peers?: number; readonly signal?: AbortSignal | undefined }): Promise<void>
  /** How far each connected peer is with these documents, by session id. */
  readonly links: State<ReadonlyMap<string, ReplicaLinkStatus>>
}

/** What is known of a document without opening it. */
export interface DocumentInfo {
  /** For `open`. */
  readonly id: string
  /** Wall clock of the last change here, in milliseconds. */
  readonly changedAt: number
  /** Bytes in the store. */
  readonly storedBytes: number
}

/** An open document. Close it: documents that nobody has open leave memory. */
export interface LoroDocument extends AsyncDisposable {
  /** The id under which it was opened. */
  readonly id: string
  /**
   * The document itself. Edits are committed for you at the end of the task in which you read this property, and
   * otherwise within 100 ms; `commit()` or Loro's own `doc.commit()` does it sooner. Read the property anew each time:
   * after a fault inside Loro it is another instance (`status` says so).
   */
  readonly doc: LoroDoc
  /** Whether the document is open, and which instance `doc` is. */
  readonly status: State<DocumentStatus>
  /** Earlier versions and their authors. */
  readonly history: DocumentHistory
  /** Commits what was edited: at once, or together with other edits of the same 16 ms. */
  commit(): void
  /** Resolves when everything edited until now is durable on this device. */
  saved(): Promise<void>
  /** Resolves when `peers` other devices (default 1) hold this document as it is now. */
  synced(options?: { readonly peers?: number; readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Resolves when everything is durable. Idempotent. */
  close(): Promise<void>
}

/** The state of an open document, as `LoroDocument.status` holds it. */
export type DocumentStatus =
  /** `instance` counts up when `doc` becomes another object. */
  | { readonly phase: "open"; readonly instance: number }
  /** Deleted, here or elsewhere. Further edits are not kept. */
  | { readonly phase: "deleted" }
  | { readonly phase: "closed" }
