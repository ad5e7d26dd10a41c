import type { Clock } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import { asideBlob, packAside } from "../store/aside-blob.ts"
import type { StoreWriter, WriterBatch } from "../store/store-writer.ts"
import { encodeDelta } from "./document-delta.ts"
import type { LiveDocument } from "./live-document.ts"
import { createLogLayout, type LogPosition } from "./log-layout.ts"
import { covers, EMPTY_VERSION, meet, type Version } from "./version.ts"

/** Folding a long log waits for a pause in typing. */
const FOLD_DELAY_MS = 250
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
  /** The current instance: a retry or a fold may run when the instance that asked for them is gone. */
  readonly live: () => LiveDocument | null
  /** Loro failed to export what was to be stored, when nobody waited for it. */
  onExportFailed(live: LiveDocument, error: unknown): void
  /** An inbox entry of ours is durable: whoever holds the lease may take it. */
  onInbox(key: number, bytes: Uint8Array): void
  onFailure(error: unknown): void
  /** What could not be stored before is stored now. */
  onRecovered(): void
}

/** Stores one document: writes what changes, tries again what could not be stored, and folds a long log in a pause. */
export interface DocumentJournal {
  /** Sets where the log stands, after a load or a takeover of the lease. */
  resume(
    position: LogPosition & {
      /** Whether the store holds the tombstone of a deleted document. */
      readonly buried: boolean
    },
  ): void
  /** Starts anew with an instance read from the store. Returns the updates that the old one could not store. */
  restart(): readonly Uint8Array[]
  /** Keeps an update in the inbox, for a document whose log must stay as it is. Resolves when durable. */
  leave(update: Uint8Array): Promise<void>
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
  /** Whether a write failed, so that its content is in memory only until another one succeeds. */
  isUnsaved(): boolean
  isIdle(): boolean
  stop(): void
}

export function createJournal(options: JournalOptions): DocumentJournal {
  const { id, writer, clock } = options
  const log = createLogLayout(id, () => clock.now())
  // The version after which nothing counts as durable, because a write failed. Every write carries all that came after it,
  // until one succeeds: of several that are under way, any may fail.
  let unsaved: Version | null = null
  // Everything since then, as it was to be stored: an instance that breaks cannot export it any more.
  let unstored: Uint8Array[] = []
  // The latest of those writes while it is under way.
  let recovery: Promise<void> | null = null
  // Blobs to set aside go with every write until one succeeds: the next write may overwrite what they were made from.
  let owed: NonNullable<WriterBatch["blobs"]> | null = null
  let burial: Burial = { phase: "none" }
  let underWay = 0
  let last: Promise<void> = Promise.resolve()
  let cancelFold: (() => void) | null = null
  let cancelRetry: (() => void) | null = null
  let stopped = false

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

  /** A write of an update or snapshot that must not be lost: if it fails, everything since `before` is written again. */
  const writeSince = (
    before: Version,
    bytes: Uint8Array,
    batch: WriterBatch,
    inbox?: Uint8Array,
  ): Promise<void> => {
    const recovers = unsaved !== null
    return write(
      batch,
      () => {
        if (burial.phase !== "none") return
        // This write was to carry everything, and still does.
        if (recovers) unstored = []
        unstored.push(bytes)
        unsaved = unsaved === null ? before : meet(unsaved, before)
        retryLater()
      },
      inbox,
    )
  }

  const retryLater = (): void => {
    if (stopped) return
    cancelRetry ??= clock.after(RETRY_DELAY_MS, () => {
      cancelRetry = null
      const live = options.live()
      if (burial.phase === "failed") bury().catch(ignore)
      else if (unsaved !== null && recovery === null && live !== null) retry(live, unsaved)
    })
  }

  const retry = (live: LiveDocument, since: Version): void => {
    try {
      append(live, new Uint8Array(0), since).catch(ignore)
    } catch (error) {
      options.onExportFailed(live, error)
    }
  }

  const forgetUnsaved = (): void => {
    unsaved = null
    unstored = []
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
    // In case the instance cannot export it.
    if (recovers && update.length > 0) unstored.push(update)
    const bytes = recovers ? live.updateSince(from) : update
    const written = writeUpdate(live, bytes, from, batch)
    return recovers ? recover(written, from) : written
  }

  const recover = (written: Promise<void>, from: Version): Promise<void> => {
    recovery = written
    const ended = (): void => {
      if (recovery === written) recovery = null
    }
    return written.then(
      () => {
        ended()
        // Something from before that version may have failed since.
        if (unsaved === null || !covers(unsaved, from)) return
        forgetUnsaved()
        options.onRecovered()
      },
      (error: unknown) => {
        ended()
        throw error
      },
    )
  }

  const writeUpdate = (
    live: LiveDocument,
    bytes: Uint8Array,
    from: Version,
    batch: WriterBatch,
  ): Promise<void> => {
    if (!options.isHolder()) {
      const delta = encodeDelta({ type: "push", update: bytes })
      return writeSince(from, bytes, { ...batch, inbox: [{ id, bytes: delta }] }, delta)
    }
    return writeSince(from, bytes, { ...batch, ...log.append(live, bytes, from) })
  }

  const append = (
    live: LiveDocument,
    update: Uint8Array,
    before: Version,
    batch: WriterBatch = {},
  ): Promise<void> => {
    if (burial.phase !== "none") return bury(batch)
    const written = appendUpdate(live, update, before, batch)
    if (options.isHolder()) foldLater()
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
    forgetUnsaved()
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
    // A document that was damaged once may have parts set aside.
    owed = null
    const blobs = [{ name: asideBlob(id), bytes: null }]
    return write({ ...batch, blobs, ...log.bury() }, failed)
  }

  const foldLater = (): void => {
    const due = log.foldDue()
    if (due === "no" || stopped) return
    if (due === "now") return fold()
    cancelFold?.()
    cancelFold = clock.after(FOLD_DELAY_MS, () => {
      cancelFold = null
      if (!stopped) fold()
    })
  }

  const fold = (): void => {
    const live = options.live()
    if (live === null || burial.phase !== "none" || !options.isHolder() || unsaved !== null) return
    try {
      live.settle()
      const folded = log.fold(live)
      if (folded !== null) write(folded, ignore).catch(ignore)
    } catch (error) {
      options.onExportFailed(live, error)
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
      return writeSince(EMPTY_VERSION, snapshot, { ...batch, inbox: [{ id, bytes: delta }] }, delta)
    }
    return writeSince(EMPTY_VERSION, snapshot, { ...batch, ...log.adopt(live, snapshot) })
  }

  return {
    resume(position) {
      log.resume(position)
      if (burial.phase === "none" || burial.phase === "stored") {
        burial = { phase: position.buried ? "stored" : "none" }
      }
    },
    restart() {
      stopRetrying()
      const left = unstored
      forgetUnsaved()
      return left
    },
    leave: (update) => write({ inbox: [{ id, bytes: encodeDelta({ type: "push", update }) }] }, ignore),
    append,
    rewrite(live, pieces, batch = {}) {
      if (!options.isHolder()) return adoptSnapshot(live, live.snapshot())
      owed = pieces.length === 0 ? null : [{ name: asideBlob(id), bytes: packAside(pieces) }]
      const snapshot = live.snapshot()
      return writeSince(EMPTY_VERSION, snapshot, { ...batch, ...log.replace(live, snapshot) })
    },
    adoptSnapshot,
    bury,
    refresh: (live, batch = {}) => write({ ...batch, ...log.describe(live) }, ignore),
    async saved(live) {
      live.settle()
      // A subscriber may call this from within an import: the import ends first.
      await Promise.resolve()
      live.settle()
      await last
      if (unsaved === null) return
      try {
        if (recovery !== null) await recovery
        if (unsaved !== null) await append(live, new Uint8Array(0), unsaved)
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
      cancelFold?.()
      stopRetrying()
    },
  }
}

/** `onFailure` has reported the failure. Retries report theirs; a fold only saves space, and without it the log is still whole. */
function ignore(): void {}
