import type { ReplicaLinkStatus, State } from "@dunlin/core"
import type { LoroDoc } from "loro-crdt"

import type { DocumentHistory } from "./history/document-history.ts"
import type { DocumentsEvent } from "./replica/document-set.ts"

/** The documents of a replica, as `room.replicate(loroReplica(…))` gives them. */
export interface LoroDocuments {
  /**
   * The document of that id, made when there is none yet. Opened twice it is the same `LoroDoc`. Rejects with
   * `LoroReplicaError` "document-deleted", "document-corrupt", "invalid-document-id" or "closed".
   */
  open(id: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<LoroDocument>
  /** Like `open`, with a document of yours, which takes in what is stored. It stays yours: nothing frees it. */
  attach(id: string, doc: LoroDoc): Promise<LoroDocument>
  /** Takes in a Loro export, such as a file; also into a damaged document, which opens again then. Resolves when durable; rejects with "invalid-update" or "too-large". */
  import(id: string, bytes: Uint8Array): Promise<void>
  /** A snapshot with the whole history. */
  export(id: string): Promise<Uint8Array>
  /**
   * The same of a document that rejects as "document-corrupt": a snapshot of what can be read of it. Taken in again by `import` under
   * its id it is the document from then on, and what could not be read is set aside.
   */
  salvage(id: string): Promise<Uint8Array>
  /** Every document that is not deleted, in no particular order. Opens none. */
  list(): Promise<readonly DocumentInfo[]>
  /** For ever: a deletion beats every edit, also those made elsewhere at the same time. Resolves when durable here. */
  delete(id: string): Promise<void>
  /** Told of every change, wherever it came from. Returns the function that ends it. */
  subscribe(listener: (event: DocumentsEvent) => void): () => void
  /** Resolves when `peers` other devices (default 1) hold all documents as they are now. */
  synced(options?: { readonly peers?: number; readonly signal?: AbortSignal | undefined }): Promise<void>
  /** How far each connected peer is with these documents, by session id. */
  readonly links: State<ReadonlyMap<string, ReplicaLinkStatus>>
}

/** What is known of a document that nobody has opened. */
export interface DocumentInfo {
  readonly id: string
  /** Wall clock of the last change here, in milliseconds. */
  readonly changedAt: number
  /** Bytes in the store. */
  readonly storedBytes: number
}

/** An open document. Close it: documents that nobody has open leave memory. */
export interface LoroDocument extends AsyncDisposable {
  readonly id: string
  /**
   * The document itself. Edits are committed for you at the end of the task in which you read this property, and
   * otherwise within 100 ms; `commit()` or Loro's own `doc.commit()` makes it sooner. Read it anew each time: after
   * a fault inside Loro it is another instance (`status` tells).
   */
  readonly doc: LoroDoc
  readonly status: State<DocumentStatus>
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

/** Where an open document stands: `note.status`. */
export type DocumentStatus =
  /** `instance` counts up when `doc` becomes another object. */
  | { readonly phase: "open"; readonly instance: number }
  /** Deleted, here or elsewhere. Edits lead nowhere. */
  | { readonly phase: "deleted" }
  | { readonly phase: "closed" }
