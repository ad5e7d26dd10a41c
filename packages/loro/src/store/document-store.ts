import type { State } from "@dunlin/core"

/** Where documents are kept. A store may be opened several times, as by the tabs of one browser. */
export interface DocumentStore {
  /** Names the store in messages. */
  readonly name: string
  /** Rejects with `LoroReplicaError` "storage-failed", "store-in-use" or "wrong-key". */
  open(options?: { readonly signal?: AbortSignal | undefined }): Promise<OpenDocumentStore>
}

/**
 * An open store: a table of rows ordered by change sequence, a log and a snapshot per document, an inbox for openers
 * without the lease, and a few named blobs. It interprets nothing that it keeps.
 */
export interface OpenDocumentStore {
  /** 16 random bytes made with the store: other bytes mean another store. */
  readonly epoch: Uint8Array
  readonly lease: StoreLease
  /** Writes all of the batch or nothing. Resolves to the keys of its inbox entries once it survives the end of the process. */
  commit(batch: StoreBatch): Promise<readonly number[]>
  /** One row per id, in order. */
  rows(ids: readonly string[]): Promise<readonly (Uint8Array | null)[]>
  /** Rows with a sequence above `after`, ascending, at most `limit`. */
  changes(after: number, limit: number): Promise<readonly StoredRow[]>
  /** The highest sequence of any row, 0 for none. */
  lastSequence(): Promise<number>
  /** Everything stored of one document, as of one moment. */
  load(id: string): Promise<StoredDocument>
  /** Inbox entries above `after`, ascending, at most `limit`. */
  inbox(after: number, limit: number): Promise<readonly InboxEntry[]>
  blob(name: string): Promise<Uint8Array | null>
  /** Waits for what is under way. Idempotent. */
  close(): Promise<void>
}

/**
 * The right to write rows, logs and snapshots, which one opener has at a time. The others append to the inbox, and the
 * holder moves that into the logs, so that compaction never deletes what it has not read.
 */
export interface StoreLease {
  /** Becomes true when the previous holder is gone; never false again before `close`. */
  readonly held: State<boolean>
  /** Sends to the other openers; lost if there are none. */
  post(message: Uint8Array): void
  subscribe(listener: (message: Uint8Array) => void): () => void
}

/** One transaction: all of it or nothing. */
export interface StoreBatch {
  /** Deleted first: log entries from `from` to `through`, both included. */
  readonly trims?: readonly LogRange[]
  readonly logs?: readonly LogEntry[]
  /** Null deletes. */
  readonly snapshots?: readonly { readonly id: string; readonly bytes: Uint8Array | null }[]
  readonly rows?: readonly StoredRow[]
  readonly inbox?: readonly { readonly id: string; readonly bytes: Uint8Array }[]
  readonly inboxDeletes?: readonly number[]
  readonly blobs?: readonly { readonly name: string; readonly bytes: Uint8Array | null }[]
}

/** Entries of one document's log. */
export interface LogRange {
  readonly id: string
  readonly from: number
  readonly through: number
}

/** One update of a document, numbered by its journal. */
export interface LogEntry {
  readonly id: string
  readonly sequence: number
  readonly bytes: Uint8Array
}

/** What the index knows about a document, and the place of its last change in the order of all changes. */
export interface StoredRow {
  readonly id: string
  /** Above every sequence given before; replaces the row's previous one. */
  readonly sequence: number
  readonly bytes: Uint8Array
  /** Set for a row that its store cannot decrypt: `id` is then the store's name for it, not a document id. */
  readonly isNameless?: true
}

/** All that is kept of a document. */
export interface StoredDocument {
  readonly row: Uint8Array | null
  readonly snapshot: Uint8Array | null
  /** Ascending. */
  readonly log: readonly { readonly sequence: number; readonly bytes: Uint8Array }[]
  readonly inbox: readonly InboxEntry[]
  /** The parts that the store cannot decrypt, as stored. In the fields above they are empty, which no intact part is. */
  readonly unreadable?: readonly Uint8Array[]
}

/** A change that an opener without the lease left for the holder; `key` counts up and is never given twice. */
export interface InboxEntry {
  readonly key: number
  readonly id: string
  readonly bytes: Uint8Array
}

/** The bytes in a buffer of their own: a view would be kept, or cloned, together with its whole buffer. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
}
