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
  /** Which opener may write rows, logs and snapshots. */
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
  /** A named blob; null if there is none. */
  blob(name: string): Promise<Uint8Array | null>
  /** Resolves when everything under way has ended. Idempotent. */
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
  /** Calls `listener` with the messages of other openers. Returns a function that ends the subscription. */
  subscribe(listener: (message: Uint8Array) => void): () => void
}

/** One transaction: all of it or nothing. */
export interface StoreBatch {
  /** Deleted first: log entries from `from` to `through`, both included. */
  readonly trims?: readonly LogRange[]
  /** Appended. */
  readonly logs?: readonly LogEntry[]
  /** Null deletes. */
  readonly snapshots?: readonly { readonly id: string; readonly bytes: Uint8Array | null }[]
  /** Each replaces the row with its id. */
  readonly rows?: readonly StoredRow[]
  /** Appended; the store gives each a key. */
  readonly inbox?: readonly { readonly id: string; readonly bytes: Uint8Array }[]
  /** Keys of inbox entries. */
  readonly inboxDeletes?: readonly number[]
  /** Null deletes. */
  readonly blobs?: readonly { readonly name: string; readonly bytes: Uint8Array | null }[]
}

/** Entries of one document's log. */
export interface LogRange {
  /** Document id. */
  readonly id: string
  /** The first sequence. */
  readonly from: number
  /** The last sequence. */
  readonly through: number
}

/** One update of a document, numbered by its journal. */
export interface LogEntry {
  /** Document id. */
  readonly id: string
  /** Its place in the log of the document. */
  readonly sequence: number
  /** An update of Loro. */
  readonly bytes: Uint8Array
}

/** What the index knows about a document, and the place of its last change in the order of all changes. */
export interface StoredRow {
  /** Document id. */
  readonly id: string
  /** Above every sequence given before; replaces the row's previous one. */
  readonly sequence: number
  /** Meaningless to the store. */
  readonly bytes: Uint8Array
  /** Set for a row that its store cannot decrypt: `id` is then the store's name for it, not a document id. */
  readonly isNameless?: true
}

/** All that is kept of a document. */
export interface StoredDocument {
  /** Null if there is none. */
  readonly row: Uint8Array | null
  /** Null if there is none. */
  readonly snapshot: Uint8Array | null
  /** By ascending sequence. */
  readonly log: readonly { readonly sequence: number; readonly bytes: Uint8Array }[]
  /** Its entries in the inbox, by ascending key. */
  readonly inbox: readonly InboxEntry[]
  /** The parts that the store cannot decrypt, as stored. In the fields above they are empty, which no intact part is. */
  readonly unreadable?: readonly Uint8Array[]
}

/** A change that an opener without the lease left for the holder. */
export interface InboxEntry {
  /** Counts up; never given twice. */
  readonly key: number
  /** Document id. */
  readonly id: string
  /** Meaningless to the store. */
  readonly bytes: Uint8Array
}

/** The bytes in a buffer of their own: a view would be kept, or cloned, together with its whole buffer. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
}
