import type { Clock, Random, ReplicaReport } from "@dunlin/core"
import type { LoroDoc } from "loro-crdt"
import type { OpenDocumentStore } from "../store/document-store.ts"
import type { StoreWriter } from "../store/store-writer.ts"
import type { DocumentAuditor } from "./document-audit.ts"
import type { DocumentJournal } from "./document-journal.ts"
import type { OpenDamage } from "./document-recovery.ts"
import type { LiveDocument, LocalChange } from "./live-document.ts"

export interface ShelfOptions {
  readonly store: OpenDocumentStore
  readonly writer: StoreWriter
  readonly clock: Clock
  readonly random: Random
  readonly device: string
  readonly maxIdleDocuments: number
  readonly isHolder: () => boolean
  onLocal(entry: ShelfEntry, change: LocalChange): void
  onInbox(id: string, key: number, delta: Uint8Array): void
  /** Changes of a document that could not be stored before are stored now. */
  onRecovered(entry: ShelfEntry): void
  /** A document was opened that is damaged in the store: it does not hold what its row said. */
  onDamaged(entry: ShelfEntry): void
  report(report: ReplicaReport): void
}

/** A document in memory. Pinned while something uses it; of the others, the least recently used leave first. */
export interface ShelfEntry {
  readonly id: string
  readonly journal: DocumentJournal
  readonly audit: DocumentAuditor
  phase: "loading" | "live" | "deleted" | "failed"
  /** A new instance after a trap. For a deleted document its last one, until it leaves the shelf. */
  live: LiveDocument | null
  /** Handles and work under way. */
  pins: number
  /** Handles alone: a document that has any is checked for edits that nobody commits. */
  handles: number
  /** Whether the `LoroDoc` was made here, and so is freed here. */
  owned: boolean
  /**
   * What is wrong with the document in the store. As long as this is set, the store is left as it is, no application has the
   * document open, and `live` is what can be read. Null once another device has said what it holds.
   */
  damage: OpenDamage | null
  ready: Promise<void>
  /** Called when `live` was replaced, or the document was deleted or cannot be read any more. */
  readonly watchers: Set<() => void>
}

export interface UnreadableEntry {
  readonly id: string
  readonly phase: "unreadable"
  readonly cause: unknown
}

export interface DocumentShelf {
  /** Opens and pins documents, in order. Whoever takes an entry releases it. A document that cannot be read does not affect the others. */
  take(ids: readonly string[]): Promise<readonly (ShelfEntry | UnreadableEntry)[]>
  /** Like `take` for one document; rejects if it cannot be read. */
  takeOne(id: string): Promise<ShelfEntry>
  release(entry: ShelfEntry): void
  /** The entry if it is in memory. */
  get(id: string): ShelfEntry | undefined
  entries(): Iterable<ShelfEntry>
  /** Replaces our instance, which must not be in use, by a `LoroDoc` of the application. */
  adopt(entry: ShelfEntry, doc: LoroDoc): void
  /** Drops an instance that Loro broke and reads the document again from the store. */
  reload(entry: ShelfEntry): Promise<void>
  /** Reads the store again into a live document and the journal, as after a takeover. */
  refresh(entry: ShelfEntry): Promise<void>
  /** Stores whatever this instance holds and the store does not. */
  keepAll(entry: ShelfEntry): Promise<void>
  /** Turns a live entry into a deleted one. */
  kill(entry: ShelfEntry): void
  /** Settles everything, frees everything. */
  close(): Promise<void>
}
