import type { Clock } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { LogRange } from "../store/document-store.ts"
import type { StoreWriter, WriterBatch } from "../store/store-writer.ts"
import { encodeDelta } from "./document-delta.ts"
import { type DocumentRow, encodeRow } from "./document-row.ts"
import { type DocumentState, TOMBSTONE_HASH } from "./document-state.ts"
import type { LiveDocument } from "./live-document.ts"
import { EMPTY_VERSION, type Version } from "./version.ts"

/** Log entries before they are merged into one. */
const MERGE_ENTRIES = 64
/** Merged entries, or bytes beyond the snapshot's, before all becomes a snapshot. */
const SNAPSHOT_ENTRIES = 128
const SNAPSHOT_BYTES = 65_536
/** Compaction waits for a pause in the typing, but not beyond so many entries. */
const COMPACT_DELAY_MS = 250
const COMPACT_AT_ONCE_ENTRIES = 256
const RETRY_DELAY_MS = 2_000

export interface JournalOptions {
  readonly id: string
  readonly writer: StoreWriter
  readonly clock: Clock
  /** Whether this opener holds the store's lease: only then it writes rows and logs, else the inbox. */
  readonly isHolder: () => boolean
  /** Loro failed while the log was folded. */
  onFold(live: LiveDocument, error: unknown): void
  /** An inbox entry of ours is durable: whoever holds the lease may take it. */
  onInbox(key: number, bytes: Uint8Array): void
  onFailure(error: unknown): void
}

/** How one document is kept: an update is appended together with its row, and long logs are folded. */
export interface DocumentJournal {
  /** Where the log stands, after a load or when the lease was taken over. */
  resume(position: {
    readonly snapshotBytes: number
    readonly logBytes: number
    readonly logCount: number
    readonly logNext: number
    readonly version: Version
  }): void
  /** Resolves when durable. `before` is the version that was durable or under way to be. */
  append(live: LiveDocument, update: Uint8Array, before: Version, batch?: WriterBatch): Promise<void>
  /** Keeps the bytes of a first load as they came. */
  adoptSnapshot(live: LiveDocument, snapshot: Uint8Array, batch?: WriterBatch): Promise<void>
  /** Replaces everything by a tombstone. */
  bury(batch?: WriterBatch): Promise<void>
  /** Writes the row of what is stored already. */
  refresh(live: LiveDocument, batch?: WriterBatch): Promise<void>
  /** Resolves when all is durable; tries again what failed before. */
  saved(live: LiveDocument): Promise<void>
  /** Folds the log now if it is long enough to be worth it. */
  compact(live: LiveDocument): void
  /** The version from which on nothing is durable because a write failed; null when nothing failed. */
  unsavedSince(): Version | null
  isIdle(): boolean
  stop(): void
}

export function createJournal(options: JournalOptions): DocumentJournal {
  const { id, writer, clock } = options
  let snapshotBytes = 0
  let logBytes = 0
  let logCount = 0
  let logNext = 0
  // The entries at the end of the log that were not merged yet, and the version before them.
  let tailFirst = 0
  let tailBytes = 0
  let tailVersion: Version = EMPTY_VERSION
  let unsaved: Version | null = null
  let underWay = 0
  let last: Promise<void> = Promise.resolve()
  let cancelCompaction: (() => void) | null = null
  let cancelRetry: (() => void) | null = null
  let stopped = false

  const rowOf = (state: DocumentState): DocumentRow | null =>
    state.hash === null
      ? null
      : {
          status: "live",
          hash: state.hash,
          version: state.version,
          snapshotBytes,
          logBytes,
          logCount,
          logNext,
          changedAt: clock.now(),
        }

  const rows = (row: DocumentRow | null): WriterBatch =>
    row === null ? {} : { rows: [{ id, bytes: encodeRow(row) }] }

  const write = (batch: WriterBatch, before: Version | null, inbox?: Uint8Array): Promise<void> => {
    underWay += 1
    const written = writer.write(batch).then(
      (keys) => {
        underWay -= 1
        const key = keys[0]
        if (key !== undefined && inbox !== undefined) options.onInbox(key, inbox)
      },
      (error: unknown) => {
        underWay -= 1
        if (before !== null) unsaved ??= before
        options.onFailure(error)
        throw error
      },
    )
    // Whoever needs the outcome awaits the promise itself.
    last = written.catch(() => undefined)
    return written
  }

  const appendUpdate = (
    live: LiveDocument,
    update: Uint8Array,
    before: Version,
    batch: WriterBatch,
  ): Promise<void> => {
    const from = unsaved ?? before
    const bytes = unsaved === null ? update : live.updateSince(unsaved)
    unsaved = null
    if (!options.isHolder()) {
      const delta = encodeDelta({ type: "push", update: bytes })
      return write({ ...batch, inbox: [{ id, bytes: delta }] }, from, delta)
    }
    if (logCount === 0 && snapshotBytes === 0) tailVersion = EMPTY_VERSION
    const sequence = logNext++
    logCount += 1
    logBytes += bytes.length
    tailBytes += bytes.length
    return write({ ...batch, logs: [{ id, sequence, bytes }], ...rows(rowOf(live.state())) }, from)
  }

  const retryLater = (live: LiveDocument): void => {
    cancelRetry ??= clock.after(RETRY_DELAY_MS, () => {
      cancelRetry = null
      if (unsaved !== null && !stopped) append(live, new Uint8Array(0), unsaved).catch(() => undefined)
    })
  }

  const append = async (
    live: LiveDocument,
    update: Uint8Array,
    before: Version,
    batch: WriterBatch = {},
  ): Promise<void> => {
    const written = appendUpdate(live, update, before, batch)
    if (options.isHolder()) compactLater(live)
    try {
      await written
    } catch (error) {
      retryLater(live)
      throw error
    }
  }

  const tailCount = (): number => logNext - tailFirst

  const compactLater = (live: LiveDocument): void => {
    const due = tailCount() > MERGE_ENTRIES || logBytes > Math.max(SNAPSHOT_BYTES, snapshotBytes)
    if (!due || stopped) return
    if (tailCount() >= COMPACT_AT_ONCE_ENTRIES) return compact(live)
    cancelCompaction?.()
    cancelCompaction = clock.after(COMPACT_DELAY_MS, () => {
      cancelCompaction = null
      if (!stopped) compact(live)
    })
  }

  const compact = (live: LiveDocument): void => {
    try {
      fold(live)
    } catch (error) {
      options.onFold(live, error)
    }
  }

  const fold = (live: LiveDocument): void => {
    if (!options.isHolder() || unsaved !== null) return
    live.settle()
    // An export leaves out what waits for other operations; the log must keep it.
    if (live.pendingBytes() > 0) return
    const through = logNext - 1
    if (logBytes > Math.max(SNAPSHOT_BYTES, snapshotBytes) || logCount - tailCount() >= SNAPSHOT_ENTRIES) {
      const snapshot = live.snapshot()
      snapshotBytes = snapshot.length
      logBytes = 0
      logCount = 0
      startTail(live.state().version)
      write(
        { trims: trim(0, through), snapshots: [{ id, bytes: snapshot }], ...rows(rowOf(live.state())) },
        null,
      ).catch(ignore)
      return
    }
    if (tailCount() <= MERGE_ENTRIES) return
    const merged = live.updateSince(tailVersion)
    const trims = trim(tailFirst, through)
    logCount += 1 - tailCount()
    logBytes += merged.length - tailBytes
    const sequence = logNext++
    startTail(live.state().version)
    write({ trims, logs: [{ id, sequence, bytes: merged }], ...rows(rowOf(live.state())) }, null).catch(
      ignore,
    )
  }

  const trim = (from: number, through: number): readonly LogRange[] =>
    through < from ? [] : [{ id, from, through }]

  const startTail = (version: Version): void => {
    tailFirst = logNext
    tailBytes = 0
    tailVersion = version
  }

  return {
    resume(position) {
      snapshotBytes = position.snapshotBytes
      logBytes = position.logBytes
      logCount = position.logCount
      logNext = Math.max(logNext, position.logNext)
      startTail(position.version)
    },
    append,
    async adoptSnapshot(live, snapshot, batch = {}) {
      if (!options.isHolder()) {
        const delta = encodeDelta({ type: "snapshot", version: live.state().version, snapshot })
        return write({ ...batch, inbox: [{ id, bytes: delta }] }, EMPTY_VERSION, delta)
      }
      snapshotBytes = snapshot.length
      startTail(live.state().version)
      await write(
        { ...batch, snapshots: [{ id, bytes: snapshot }], ...rows(rowOf(live.state())) },
        EMPTY_VERSION,
      )
    },
    async bury(batch = {}) {
      if (!options.isHolder()) {
        const delta = encodeDelta({ type: "tombstone" })
        return write({ ...batch, inbox: [{ id, bytes: delta }] }, null, delta)
      }
      const through = logNext - 1
      const row: DocumentRow = {
        status: "deleted",
        hash: TOMBSTONE_HASH,
        version: EMPTY_VERSION,
        snapshotBytes: 0,
        logBytes: 0,
        logCount: 0,
        logNext,
        changedAt: clock.now(),
      }
      await write({ ...batch, trims: trim(0, through), snapshots: [{ id, bytes: null }], ...rows(row) }, null)
    },
    refresh: (live, batch = {}) => write({ ...batch, ...rows(rowOf(live.state())) }, null),
    async saved(live) {
      live.settle()
      await last
      if (unsaved === null) return
      try {
        await append(live, new Uint8Array(0), unsaved)
      } catch (error) {
        throw new LoroReplicaError(
          "storage-failed",
          `document "${id}" could not be stored: its last edits are in memory only; free some space and call saved() again`,
          { cause: error },
        )
      }
    },
    compact,
    unsavedSince: () => unsaved,
    isIdle: () => underWay === 0 && unsaved === null && cancelRetry === null,
    stop() {
      stopped = true
      cancelCompaction?.()
      cancelRetry?.()
    },
  }
}

/** Compaction only saves space: the log it would have folded is still whole, and `onFailure` has told. */
function ignore(): void {}
