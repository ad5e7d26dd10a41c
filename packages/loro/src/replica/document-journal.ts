import type { Clock } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import { asideBlob, packAside } from "../store/aside-blob.ts"
import type { LogRange } from "../store/document-store.ts"
import type { StoreWriter, WriterBatch } from "../store/store-writer.ts"
import { encodeDelta } from "./document-delta.ts"
import { type DocumentRow, encodeRow } from "./document-row.ts"
import { type DocumentState, TOMBSTONE_HASH } from "./document-state.ts"
import type { LiveDocument } from "./live-document.ts"
import { EMPTY_VERSION, meet, type Version } from "./version.ts"

/** Log entries that may gather before they are merged into one. */
const MERGE_ENTRIES = 64
/** Merged entries, or bytes of a log that is also longer than the snapshot, before everything becomes a new snapshot. */
const SNAPSHOT_ENTRIES = 64
const SNAPSHOT_BYTES = 65_536
/** Compaction waits for a pause in typing, but not beyond this many entries. */
const COMPACT_DELAY_MS = 250
const COMPACT_AT_ONCE_ENTRIES = 256
const RETRY_DELAY_MS = 2_000

const DONE: Promise<void> = Promise.resolve()

/** How far the write of the document's tombstone has got. */
type Burial =
  | { readonly phase: "none" }
  | { readonly phase: "under-way"; readonly stored: Promise<void> }
  | { readonly phase: "failed" }
  | { readonly phase: "stored" }

export interface JournalOptions {
  readonly id: string
  readonly writer: StoreWriter
  readonly clock: Clock
  /** Whether this opener holds the store's lease. Only the holder writes rows and logs; others write to the inbox. */
  readonly isHolder: () => boolean
  /** The current instance: retries and compaction may run when the instance that asked for them is gone. */
  readonly live: () => LiveDocument | null
  /** Loro failed to export what was to be stored, when nobody waited for it. */
  onExportFailed(live: LiveDocument, error: unknown): void
  /** An inbox entry of ours is durable: whoever holds the lease may take it. */
  onInbox(key: number, bytes: Uint8Array): void
  onFailure(error: unknown): void
  /** What could not be stored before is stored now. */
  onRecovered(): void
}

/** How one document is stored: each update is appended together with the row, and a long log is folded. */
export interface DocumentJournal {
  /** Sets where the log stands, after a load or a takeover of the lease. */
  resume(position: {
    readonly snapshotBytes: number
    readonly logBytes: number
    readonly logCount: number
    readonly logNext: number
    readonly version: Version
    /** The updates in the log that wait for operations missing from it. */
    readonly waiting: Uint8Array | null
    /** Whether the store holds the tombstone of a deleted document. */
    readonly buried: boolean
  }): void
  /** A new instance is read from the store: forgets what the old one still had to store. */
  restart(): void
  /** Resolves when durable. `before` is the version that is durable or being written. */
  append(live: LiveDocument, update: Uint8Array, before: Version, batch?: WriterBatch): Promise<void>
  /**
   * Replaces all that is stored of the document by what is in memory, and sets its unreadable `pieces` aside. Resolves when
   * durable.
   */
  rewrite(live: LiveDocument, pieces: readonly Uint8Array[], batch?: WriterBatch): Promise<void>
  /** Stores the snapshot of a first load as it came. */
  adoptSnapshot(live: LiveDocument, snapshot: Uint8Array, batch?: WriterBatch): Promise<void>
  /**
   * Replaces everything by a tombstone. Resolves when it is stored, also if it already was. After a failure the next
   * call tries again, or a timer does.
   */
  bury(batch?: WriterBatch): Promise<void>
  /** Writes the row that describes what is already stored. */
  refresh(live: LiveDocument, batch?: WriterBatch): Promise<void>
  /** Resolves when all is durable; tries again what failed before. */
  saved(live: LiveDocument): Promise<void>
  /** Whether a write failed, so that its content is in memory only. */
  isUnsaved(): boolean
  isIdle(): boolean
  stop(): void
}

export function createJournal(options: JournalOptions): DocumentJournal {
  const { id, writer, clock } = options
  let snapshotBytes = 0
  let logBytes = 0
  let logCount = 0
  let logNext = 0
  // The entries at the end of the log that are not merged yet, and a version that holds none of their operations.
  let tailFirst = 0
  let tailBytes = 0
  let tailVersion: Version = EMPTY_VERSION
  // Loro's exports leave out updates that wait, so these stay in the log as they are. Waiting updates of peers are not
  // stored: peers send them again.
  let waiting: Uint8Array | null = null
  // The version after which nothing counts as durable, because a write failed.
  let unsaved: Version | null = null
  // Blobs to set aside go with every write until one succeeds: the next write may overwrite what they were made from.
  let owed: NonNullable<WriterBatch["blobs"]> | null = null
  let burial: Burial = { phase: "none" }
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

  const write = (batch: WriterBatch, onFailed: () => void, inbox?: Uint8Array): Promise<void> => {
    underWay += 1
    const aside = owed
    const whole = aside === null ? batch : { ...batch, blobs: [...(batch.blobs ?? []), ...aside] }
    const written = writer.write(whole).then(
      (keys) => {
        underWay -= 1
        if (owed === aside) owed = null
        const key = keys[0]
        if (key !== undefined && inbox !== undefined) options.onInbox(key, inbox)
      },
      (error: unknown) => {
        underWay -= 1
        onFailed()
        options.onFailure(error)
        throw error
      },
    )
    // Whoever needs the outcome awaits the promise itself.
    last = written.catch(() => undefined)
    return written
  }

  /** A write that must not be lost: if it fails, everything since `before` is written again. */
  const writeSince = (before: Version, batch: WriterBatch, inbox?: Uint8Array): Promise<void> =>
    write(
      batch,
      () => {
        if (burial.phase !== "none") return
        unsaved = unsaved === null ? before : meet(unsaved, before)
        retryLater()
      },
      inbox,
    )

  const retryLater = (): void => {
    if (stopped) return
    cancelRetry ??= clock.after(RETRY_DELAY_MS, () => {
      cancelRetry = null
      const live = options.live()
      if (burial.phase === "failed") bury().catch(ignore)
      else if (unsaved !== null && live !== null) retry(live, unsaved)
    })
  }

  const retry = (live: LiveDocument, since: Version): void => {
    try {
      append(live, new Uint8Array(0), since).catch(ignore)
    } catch (error) {
      options.onExportFailed(live, error)
    }
  }

  const stopRetrying = (): void => {
    cancelRetry?.()
    cancelRetry = null
  }

  const appendUpdate = (
    live: LiveDocument,
    update: Uint8Array,
    before: Version,
    batch: WriterBatch,
  ): Promise<void> => {
    const recovers = unsaved !== null
    const from = unsaved === null ? before : meet(unsaved, before)
    const bytes = recovers ? live.updateSince(from) : update
    unsaved = null
    const written = writeUpdate(live, bytes, from, batch)
    if (!recovers) return written
    return written.then(() => options.onRecovered())
  }

  const writeUpdate = (
    live: LiveDocument,
    bytes: Uint8Array,
    from: Version,
    batch: WriterBatch,
  ): Promise<void> => {
    if (!options.isHolder()) {
      const delta = encodeDelta({ type: "push", update: bytes })
      return writeSince(from, { ...batch, inbox: [{ id, bytes: delta }] }, delta)
    }
    if (logCount === 0 && snapshotBytes === 0) tailVersion = EMPTY_VERSION
    // Operations whose write failed before the tail began are in the tail now: merging the tail must not leave them out.
    tailVersion = meet(tailVersion, from)
    const sequence = logNext++
    logCount += 1
    logBytes += bytes.length
    tailBytes += bytes.length
    return writeSince(from, { ...batch, logs: [{ id, sequence, bytes }], ...rows(rowOf(live.state())) })
  }

  const append = (
    live: LiveDocument,
    update: Uint8Array,
    before: Version,
    batch: WriterBatch = {},
  ): Promise<void> => {
    if (burial.phase !== "none") return bury(batch)
    const written = appendUpdate(live, update, before, batch)
    if (options.isHolder()) compactLater()
    return written
  }

  const bury = (batch: WriterBatch = {}): Promise<void> => {
    const extra = Object.keys(batch).length > 0
    if (burial.phase === "stored") return extra ? write(batch, ignore) : DONE
    if (burial.phase === "under-way") {
      return extra ? burial.stored.then(() => write(batch, ignore)) : burial.stored
    }
    const recovers = burial.phase === "failed"
    stopRetrying()
    unsaved = null
    const stored = writeTombstone(batch).then(() => {
      burial = { phase: "stored" }
      if (recovers) options.onRecovered()
    })
    burial = { phase: "under-way", stored }
    return stored
  }

  const writeTombstone = (batch: WriterBatch): Promise<void> => {
    const failed = (): void => {
      burial = { phase: "failed" }
      retryLater()
    }
    if (!options.isHolder()) {
      const delta = encodeDelta({ type: "tombstone" })
      return write({ ...batch, inbox: [{ id, bytes: delta }] }, failed, delta)
    }
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
    const trims = trim(0, logNext - 1)
    // A document that was damaged once may have parts set aside.
    owed = null
    const blobs = [{ name: asideBlob(id), bytes: null }]
    return write({ ...batch, trims, blobs, snapshots: [{ id, bytes: null }], ...rows(row) }, failed)
  }

  const tailCount = (): number => logNext - tailFirst

  const compactLater = (): void => {
    const due = tailCount() > MERGE_ENTRIES || isLogLong()
    if (!due || stopped) return
    if (tailCount() >= COMPACT_AT_ONCE_ENTRIES) return compact()
    cancelCompaction?.()
    cancelCompaction = clock.after(COMPACT_DELAY_MS, () => {
      cancelCompaction = null
      if (!stopped) compact()
    })
  }

  const isLogLong = (): boolean => logBytes - (waiting?.length ?? 0) > Math.max(SNAPSHOT_BYTES, snapshotBytes)

  const compact = (): void => {
    const live = options.live()
    if (live === null || burial.phase !== "none") return
    try {
      fold(live)
    } catch (error) {
      options.onExportFailed(live, error)
    }
  }

  const fold = (live: LiveDocument): void => {
    if (!options.isHolder() || unsaved !== null) return
    live.settle()
    if (live.pendingBytes() === 0) waiting = null
    if (isLogLong() || logCount - tailCount() >= SNAPSHOT_ENTRIES || waiting !== null) {
      write(snapshotOf(live), ignore).catch(ignore)
      return
    }
    if (tailCount() <= MERGE_ENTRIES) return
    const through = logNext - 1
    const merged = live.updateSince(tailVersion)
    const trims = trim(tailFirst, through)
    logCount += 1 - tailCount()
    logBytes += merged.length - tailBytes
    const sequence = logNext++
    startTail(live.state().version)
    write({ trims, logs: [{ id, sequence, bytes: merged }], ...rows(rowOf(live.state())) }, ignore).catch(
      ignore,
    )
  }

  const snapshotOf = (live: LiveDocument): WriterBatch => {
    const through = logNext - 1
    const snapshot = live.snapshot()
    snapshotBytes = snapshot.length
    const logs = waiting === null ? [] : [{ id, sequence: logNext++, bytes: waiting }]
    logBytes = waiting?.length ?? 0
    logCount = logs.length
    startTail(live.state().version)
    return {
      trims: trim(0, through),
      logs,
      snapshots: [{ id, bytes: snapshot }],
      ...rows(rowOf(live.state())),
    }
  }

  const adoptSnapshot = (
    live: LiveDocument,
    snapshot: Uint8Array,
    batch: WriterBatch = {},
  ): Promise<void> => {
    const { version } = live.state()
    if (!options.isHolder()) {
      const delta = encodeDelta({ type: "snapshot", version, snapshot })
      return writeSince(EMPTY_VERSION, { ...batch, inbox: [{ id, bytes: delta }] }, delta)
    }
    snapshotBytes = snapshot.length
    startTail(version)
    return writeSince(EMPTY_VERSION, {
      ...batch,
      snapshots: [{ id, bytes: snapshot }],
      ...rows(rowOf(live.state())),
    })
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
      waiting = position.waiting
      if (burial.phase === "none" || burial.phase === "stored") {
        burial = { phase: position.buried ? "stored" : "none" }
      }
    },
    restart() {
      stopRetrying()
      unsaved = null
    },
    append,
    rewrite(live, pieces, batch = {}) {
      if (!options.isHolder()) return adoptSnapshot(live, live.snapshot())
      owed = pieces.length === 0 ? null : [{ name: asideBlob(id), bytes: packAside(pieces) }]
      if (live.pendingBytes() === 0) waiting = null
      return writeSince(EMPTY_VERSION, { ...batch, ...snapshotOf(live) })
    },
    adoptSnapshot,
    bury,
    refresh: (live, batch = {}) => write({ ...batch, ...rows(rowOf(live.state())) }, ignore),
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
    isUnsaved: () => unsaved !== null || burial.phase === "failed",
    isIdle: () => underWay === 0 && unsaved === null && burial.phase !== "failed" && cancelRetry === null,
    stop() {
      stopped = true
      cancelCompaction?.()
      stopRetrying()
    },
  }
}

/** `onFailure` has reported the failure. Retries report theirs; a compaction only saves space, and the log is still whole. */
function ignore(): void {}
