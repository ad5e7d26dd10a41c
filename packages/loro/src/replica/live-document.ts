import type { Clock, Random } from "@dunlin/core"
import { type CounterSpan, type ImportStatus, LoroDoc, type PeerID } from "loro-crdt"

import { recordAuthor } from "../history/authors.ts"
import { describeLoroFailure } from "../loro-replica-error.ts"
import { type DocumentState, readState, readStateWithout, sameHash } from "./document-state.ts"
import { readSpan, refuseAuthors, refuseOperations } from "./update-check.ts"
import { type Version, withVector } from "./version.ts"

/** Commits this close together are sent and stored as one update: in a commit of 20 characters, each costs 5 bytes; alone, 88. */
const COALESCE_MS = 16
/** Updates that wait for operations of others are counted no more often than this: counting means exporting them. */
const RECOUNT_MS = 1_000
/** Fewer bytes than this are not worth counting. */
const MANY_WAITING_BYTES = 524_288

/** Edits of one author without a pause add at most one change to the history of a document in this time. */
const HISTORY_GRAIN_SECONDS = 60

export interface LocalChange {
  readonly before: DocumentState
  readonly after: DocumentState
  readonly update: Uint8Array
}

export type IntegrateOutcome =
  | {
      readonly type: "integrated"
      readonly before: DocumentState
      readonly changed: boolean
      /** Some of it waits for operations that are not here. */
      readonly pending: boolean
      /** What must be stored for the change; null when nothing changed. */
      readonly update: Uint8Array | null
      /** Another instance edited under our Loro peer id, so we took a new id. */
      readonly collision: boolean
    }
  | { readonly type: "refused"; readonly reason: string }
  /** The instance must not be used any more. */
  | { readonly type: "trapped"; readonly reason: string }

export interface LiveDocumentOptions {
  readonly doc: LoroDoc
  readonly clock: Clock
  readonly random: Random
  /** 64 hex digits. */
  readonly device: string
  onLocal(change: LocalChange): void
  /** The application set a Loro peer id on its document, and the edits just reported carry it. */
  onForeignPeerId(): void
  /** Loro failed on our own edits. */
  onFailure(failure: { readonly trap: boolean; readonly reason: string }): void
}

/** One `LoroDoc` in memory: observes its local edits, commits them in time, and imports what comes from elsewhere. */
export interface LiveDocument {
  readonly doc: LoroDoc
  /** As of the last `settle` or `integrate`. */
  state(): DocumentState
  /** Commits edits that nobody committed: at once if the last change is at least 16 ms old, otherwise as soon as it is. */
  touch(): void
  /** Commits and reports every local edit now. */
  settle(): void
  /**
   * Imports an update or snapshot that the caller has checked. Local edits are settled first. The outcome is "trapped"
   * for an instance that then holds more than `maxOperations`.
   */
  integrate(bytes: Uint8Array, maxOperations?: number): IntegrateOutcome
  /** An update with what a holder of `version` lacks. */
  updateSince(version: Version): Uint8Array
  snapshot(): Uint8Array
  /** Updates that wait for operations that are not here; exports leave them out. */
  pending(): Uint8Array | null
  pendingBytes(): number
  /** `pendingBytes` or more: counted anew at most once a second. */
  pendingBytesAtMost(): number
  /** Stops watching and returns local updates not reported yet. Frees nothing. */
  abandon(): readonly Uint8Array[]
}

/** A document as the replica wants it: timestamps for the history, and a Loro peer id that nobody used before. */
export function createLoroDoc(random: Random): LoroDoc {
  const doc = new LoroDoc()
  prepareLoroDoc(doc)
  takeFreshPeerId(doc, random)
  return doc
}

export function prepareLoroDoc(doc: LoroDoc): void {
  doc.setRecordTimestamp(true)
  doc.setChangeMergeInterval(HISTORY_GRAIN_SECONDS)
}

/** A peer id belongs to one instance in memory: used again after a crash, it would give two operations the same id. */
export function takeFreshPeerId(doc: LoroDoc, random: Random): void {
  const bytes = random.bytes(8)
  const id = new DataView(bytes.buffer).getBigUint64(0)
  // 2^64 − 1 is not a peer id for Loro.
  doc.setPeerId((id >> 1n).toString() as PeerID)
}

/**
 * Imports all that a live document holds, also updates that wait for others: the log keeps such an update only as long as
 * the document in memory has it.
 */
export function copyInto(doc: LoroDoc, live: LiveDocument): void {
  const waiting = live.pending()
  if (live.state().hash !== null && doc.import(live.snapshot()).pending !== null)
    throw new Error("it lacks edits")
  if (waiting !== null) doc.import(waiting)
}

/** Frees a document that a crafted update may have broken, so that even freeing may throw. */
export function freeQuietly(doc: LoroDoc): void {
  try {
    doc.free()
  } catch {
    // Its memory is lost: that is what a trap costs.
  }
}

export function watchDocument(options: LiveDocumentOptions): LiveDocument {
  const { doc, clock } = options
  let state = readState(doc)
  let buffered: Uint8Array[] = []
  let flushedAt = Number.NEGATIVE_INFINITY
  let cancelTimer: (() => void) | null = null
  let microtask = false
  /** An upper bound for the bytes of updates that wait for others. */
  let waitingBytes = doc.exportPendingUpdates()?.length ?? 0
  let countedAt = clock.monotonic()
  let authoredPeer: PeerID | null = null
  let ownPeer = doc.peerIdStr
  let abandoned = false
  /**
   * Subscribers of the application may edit the document while they are told of an import or a commit. Such an edit is
   * reported after what they were told of.
   */
  let busy = false
  /** Operations in memory when last counted. An application may import into its document itself, and Loro reports that to nobody. */
  let seenOperations = doc.opCount()

  const guard = (work: () => void): void => {
    if (abandoned) return
    try {
      work()
    } catch (error) {
      options.onFailure(describeLoroFailure(error))
    }
  }

  const schedule = (): void => {
    if (cancelTimer !== null || microtask || abandoned) return
    const wait = flushedAt + COALESCE_MS - clock.monotonic()
    if (wait > 0) {
      cancelTimer = clock.after(wait, () => {
        cancelTimer = null
        settle()
      })
      return
    }
    // Not inside the callback: editors refuse to be told of a change while they apply one.
    microtask = true
    queueMicrotask(() => {
      microtask = false
      settle()
    })
  }

  const settle = (): void =>
    guard(() => {
      if (doc.getPendingTxnLength() > 0) doc.commit()
      if (busy) return schedule()
      if (buffered.length > 0 || doc.opCount() !== seenOperations) flush()
    })

  const flush = (): void => {
    cancelTimer?.()
    cancelTimer = null
    const change = whileBusy(readChange)
    // Only now: an instance that fails above is abandoned, and gives back what is not reported yet.
    buffered = []
    if (change === null) return
    state = change.after
    options.onLocal(change)
    if (doc.peerIdStr === ownPeer) return
    // Two documents that are edited under one peer id differ for ever without any sign: the next edits get a new id.
    renewPeerId()
    options.onForeignPeerId()
  }

  const readChange = (): LocalChange | null => {
    if (buffered.length > 0 && authoredPeer !== doc.peerIdStr) {
      authoredPeer = doc.peerIdStr
      recordAuthor(doc, options.device)
    }
    flushedAt = clock.monotonic()
    const before = state
    const after = readState(doc)
    const operations = doc.opCount() - seenOperations
    seenOperations += operations
    // Loro may report a subscriber's commit before the commit that the subscriber reacted to: both were reported then.
    if (operations === 0) return null
    // One export of several commits is far smaller than the commits one by one.
    const [only] = buffered.length === 1 ? buffered : []
    const isAll =
      only !== undefined &&
      operations === ownOperations(doc.peerIdStr, before, after) &&
      isBetween(only, doc.peerIdStr, before, after)
    return { before, after, update: isAll ? only : updateSince(before.version) }
  }

  const renewPeerId = (): void => {
    takeFreshPeerId(doc, options.random)
    ownPeer = doc.peerIdStr
  }

  const updateSince = (version: Version): Uint8Array =>
    withVector(version, (from) => doc.export({ mode: "update", from }))

  const pending = (): Uint8Array | null => {
    if (waitingBytes === 0) return null
    const waiting = doc.exportPendingUpdates() ?? null
    waitingBytes = waiting?.length ?? 0
    countedAt = clock.monotonic()
    return waiting
  }

  /** Loro tells what waits only by exporting it: with a thousand small updates of a stranger, that takes longer than all else. */
  const countSometimes = (): void => {
    if (clock.monotonic() - countedAt >= RECOUNT_MS) pending()
  }

  const whileBusy = <Result>(work: () => Result): Result => {
    busy = true
    try {
      return work()
    } finally {
      busy = false
    }
  }

  const importBytes = (bytes: Uint8Array, maxOperations: number): IntegrateOutcome => {
    const before = state
    try {
      const status = doc.import(bytes)
      // Without its early history, the document cannot import what older replicas still hold.
      if (doc.isShallow()) return { type: "trapped", reason: "a shallow snapshot" }
      const operations = doc.opCount()
      const tooLarge = operations === seenOperations ? null : refuseOperations(operations, maxOperations)
      if (tooLarge !== null) return { type: "trapped", reason: tooLarge }
      const now = readState(doc)
      const made = ownOperations(doc.peerIdStr, before, now) - countSpan(status.success.get(doc.peerIdStr))
      state = made === 0 ? now : readStateWithout(doc, now, made)
      const tooMany =
        maxOperations === Number.POSITIVE_INFINITY ? null : refuseAuthors(before.version, state.version)
      if (tooMany !== null) return { type: "trapped", reason: tooMany }
      const foreign = operations - made - seenOperations
      seenOperations += foreign
      const changed = !sameHash(before.hash, state.hash)
      const pending = status.pending !== null
      // Subscribers may even have imported something else.
      const whole = !pending && waitingBytes === 0 && foreign === countImported(status)
      const update = changed ? (whole ? bytes : updateSince(before.version)) : null
      if (pending) waitingBytes += bytes.length
      if (changed) countSometimes()
      const collision = holdsOwnOperations(doc, status)
      if (collision) renewPeerId()
      return { type: "integrated", before, changed, pending, update, collision }
    } catch (error) {
      const { trap, reason } = describeLoroFailure(error)
      return { type: trap ? "trapped" : "refused", reason }
    }
  }

  const unsubscribe = doc.subscribeLocalUpdates((bytes) => {
    // An exception in here would end the process: Loro rethrows it outside any call.
    guard(() => {
      buffered.push(bytes)
      // A lone key press is sent from within the commit; otherwise an editor that commits in the middle of its update
      // would draw first. An author's first key press is not alone, see `recordAuthor`.
      const alone =
        buffered.length === 1 && !busy && authoredPeer === doc.peerIdStr && cancelTimer === null && !microtask
      if (alone && clock.monotonic() - flushedAt >= COALESCE_MS) flush()
      else schedule()
    })
  })

  return {
    doc,
    state: () => state,
    touch: () =>
      guard(() => {
        if (doc.getPendingTxnLength() === 0 && doc.opCount() === seenOperations) return
        if (clock.monotonic() - flushedAt >= COALESCE_MS) settle()
        else schedule()
      }),
    settle,
    integrate(bytes, maxOperations = Number.POSITIVE_INFINITY) {
      settle()
      return whileBusy(() => importBytes(bytes, maxOperations))
    },
    updateSince,
    snapshot: () => doc.export({ mode: "snapshot" }),
    pending,
    pendingBytes: () => pending()?.length ?? 0,
    pendingBytesAtMost() {
      if (waitingBytes > MANY_WAITING_BYTES) countSometimes()
      return waitingBytes
    },
    abandon() {
      abandoned = true
      cancelTimer?.()
      unsubscribe()
      const left = buffered
      buffered = []
      return left
    },
  }
}

function ownOperations(peer: PeerID, before: DocumentState, after: DocumentState): number {
  return (after.version.get(peer) ?? 0) - (before.version.get(peer) ?? 0)
}

/** Whether an update holds all operations of this peer from one state to another. */
function isBetween(update: Uint8Array, peer: PeerID, before: DocumentState, after: DocumentState): boolean {
  const { start, end } = readSpan(update)
  return start.get(peer) === (before.version.get(peer) ?? 0) && end.get(peer) === after.version.get(peer)
}

function countSpan(span: CounterSpan | undefined): number {
  return span === undefined ? 0 : span.end - span.start
}

function countImported({ success }: ImportStatus): number {
  let count = 0
  for (const span of success.values()) count += countSpan(span)
  return count
}

/** Operations of our own peer id never come from elsewhere unless somebody else uses it. */
function holdsOwnOperations(doc: LoroDoc, status: ImportStatus): boolean {
  return status.success.has(doc.peerIdStr)
}
