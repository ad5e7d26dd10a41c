import type { LogRange } from "../store/document-store.ts"
import type { WriterBatch } from "../store/store-writer.ts"
import { type DocumentRow, encodeRow } from "./document-row.ts"
import { TOMBSTONE_HASH } from "./document-state.ts"
import type { LiveDocument } from "./live-document.ts"
import { EMPTY_VERSION, meet, type Version } from "./version.ts"

/** Log entries that may gather before they are merged into one. */
const MERGE_ENTRIES = 64
/** Merged entries, or bytes of a log that is also longer than the snapshot, before everything becomes a new snapshot. */
const SNAPSHOT_ENTRIES = 64
const SNAPSHOT_BYTES = 65_536
/** Folding waits for a pause in typing, but not beyond this many entries. */
const FOLD_AT_ONCE_ENTRIES = 256

/** What is stored of a document, as its journal found it. */
export interface LogPosition {
  readonly snapshotBytes: number
  readonly logBytes: number
  readonly logCount: number
  readonly logNext: number
  readonly version: Version
  /** The updates in the log that wait for operations missing from it. */
  readonly waiting: Uint8Array | null
}

/**
 * Snapshot and log of one document: what each change writes, and when a long log is folded. The methods count what they
 * return as stored, and the caller writes it: a failed write of a fold only leaves the log as long as it was.
 */
export interface LogLayout {
  resume(position: LogPosition): void
  /** `from` is the version that the update builds on. */
  append(live: LiveDocument, update: Uint8Array, from: Version): WriterBatch
  /** Replaces everything by this snapshot of what is in memory. */
  replace(live: LiveDocument, snapshot: Uint8Array): WriterBatch
  /** Stores the snapshot of a first load as it came. */
  adopt(live: LiveDocument, snapshot: Uint8Array): WriterBatch
  /** A shorter log or a new snapshot; null if it is not worth it. */
  fold(live: LiveDocument): WriterBatch | null
  /** "soon" when the log should be folded at the next pause. */
  foldDue(): "no" | "soon" | "now"
  bury(): WriterBatch
  /** Only the row, for what is stored already. */
  describe(live: LiveDocument): WriterBatch
}

export function createLogLayout(id: string, now: () => number): LogLayout {
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

  const describe = (live: LiveDocument): WriterBatch => {
    const { hash, version } = live.state()
    if (hash === null) return {}
    return rows({
      status: "live",
      hash,
      version,
      snapshotBytes,
      logBytes,
      logCount,
      logNext,
      changedAt: now(),
    })
  }

  const rows = (row: DocumentRow): WriterBatch => ({ rows: [{ id, bytes: encodeRow(row) }] })

  const trim = (from: number, through: number): readonly LogRange[] =>
    through < from ? [] : [{ id, from, through }]

  const startTail = (version: Version): void => {
    tailFirst = logNext
    tailBytes = 0
    tailVersion = version
  }

  const tailCount = (): number => logNext - tailFirst

  const isLong = (): boolean => logBytes - (waiting?.length ?? 0) > Math.max(SNAPSHOT_BYTES, snapshotBytes)

  const replace = (live: LiveDocument, snapshot: Uint8Array): WriterBatch => {
    if (live.pendingBytes() === 0) waiting = null
    const through = logNext - 1
    snapshotBytes = snapshot.length
    const logs = waiting === null ? [] : [{ id, sequence: logNext++, bytes: waiting }]
    logBytes = waiting?.length ?? 0
    logCount = logs.length
    startTail(live.state().version)
    return { trims: trim(0, through), logs, snapshots: [{ id, bytes: snapshot }], ...describe(live) }
  }

  const merge = (live: LiveDocument): WriterBatch => {
    const through = logNext - 1
    const merged = live.updateSince(tailVersion)
    const trims = trim(tailFirst, through)
    logCount += 1 - tailCount()
    logBytes += merged.length - tailBytes
    const sequence = logNext++
    startTail(live.state().version)
    return { trims, logs: [{ id, sequence, bytes: merged }], ...describe(live) }
  }

  return {
    resume(position) {
      snapshotBytes = position.snapshotBytes
      logBytes = position.logBytes
      logCount = position.logCount
      logNext = Math.max(logNext, position.logNext)
      startTail(position.version)
      waiting = position.waiting
    },
    append(live, update, from) {
      if (logCount === 0 && snapshotBytes === 0) tailVersion = EMPTY_VERSION
      // Operations whose write failed before the tail began are in the tail now: merging the tail must not leave them out.
      tailVersion = meet(tailVersion, from)
      const sequence = logNext++
      logCount += 1
      logBytes += update.length
      tailBytes += update.length
      return { logs: [{ id, sequence, bytes: update }], ...describe(live) }
    },
    replace,
    adopt(live, snapshot) {
      snapshotBytes = snapshot.length
      startTail(live.state().version)
      return { snapshots: [{ id, bytes: snapshot }], ...describe(live) }
    },
    fold(live) {
      if (live.pendingBytes() === 0) waiting = null
      if (isLong() || logCount - tailCount() >= SNAPSHOT_ENTRIES || waiting !== null)
        return replace(live, live.snapshot())
      return tailCount() > MERGE_ENTRIES ? merge(live) : null
    },
    foldDue() {
      if (tailCount() <= MERGE_ENTRIES && !isLong()) return "no"
      return tailCount() >= FOLD_AT_ONCE_ENTRIES ? "now" : "soon"
    },
    bury() {
      const trims = trim(0, logNext - 1)
      const sizes = { snapshotBytes: 0, logBytes: 0, logCount: 0, logNext, changedAt: now() }
      const row: DocumentRow = {
        status: "deleted",
        hash: TOMBSTONE_HASH,
        version: EMPTY_VERSION,
        ...sizes,
      }
      return { trims, snapshots: [{ id, bytes: null }], ...rows(row) }
    },
    describe,
  }
}
