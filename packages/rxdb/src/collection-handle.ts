import {
  createState,
  type MutableState,
  type ReplicaHost,
  type ReplicaReport,
  systemClock,
  systemRandom,
} from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { Subject } from "rxjs"
import type { AttachmentProgress } from "./attachment-shelf.ts"
import { createCallSignals } from "./call-signals.ts"
import { type ConflictLog, createConflictLog } from "./conflict-log.ts"
import type { DocumentTraffic } from "./document-traffic.ts"
import type { RxdbHandle } from "./rxdb-replica.ts"
import type { Reasons } from "./set-aside.ts"
import { createSyncedInquiry, type SyncedInquiry } from "./synced-inquiry.ts"
import type { TabChannel } from "./tab-channel.ts"
import { unlessAborted } from "./unless-aborted.ts"

/** A handle, from before its tab replicates to its end, with the inner side of everything it exposes. */
export interface CollectionHandle {
  readonly handle: RxdbHandle
  readonly conflicts: ConflictLog
  readonly error$: Subject<ReplicaReport>
  readonly traffic$: Subject<DocumentTraffic>
  readonly attachments$: Subject<AttachmentProgress>
  readonly setAside: MutableState<Reasons>
  /** Another tab replicates; `synced()` asks it over this channel. */
  standBy(channel: TabChannel): void
  /** This tab replicates from now on. */
  takeOver(): void
  /** Every `synced()`, pending or later, rejects with this reason. Only the first call counts. */
  end(reason: unknown): void
  /** Completes the observables. */
  complete(): void
}

export interface CollectionHandleOptions {
  readonly collection: RxCollection
  readonly host: ReplicaHost
  readonly leave: () => Promise<void>
}

export function createCollectionHandle({
  collection,
  host,
  leave,
}: CollectionHandleOptions): CollectionHandle {
  const conflicts = createConflictLog()
  const error$ = new Subject<ReplicaReport>()
  const traffic$ = new Subject<DocumentTraffic>()
  const attachments$ = new Subject<AttachmentProgress>()
  const standingBy = createState(false)
  const setAside = createState<Reasons>(new Map())
  const ended = new AbortController()
  const calls = createCallSignals()
  let inquiry: SyncedInquiry | null = null

  return {
    handle: {
      collection,
      device: host.device,
      conflicts$: conflicts.conflicts$,
      recentConflicts: conflicts.recent,
      error$,
      traffic$,
      attachments$,
      standingBy,
      setAside,
      links: host.links,
      async synced(options = {}) {
        ended.signal.throwIfAborted()
        const call = calls.open(options.signal)
        const own = options.signal === undefined ? options : { ...options, signal: call.signal }
        try {
          if (inquiry !== null && (await inquiry.ask(own))) return
          // The host does not know when a replica ends, and heeds the signal only once the replica is attached.
          call.signal.throwIfAborted()
          await unlessAborted(host.synced(own), call.signal)
        } finally {
          call.close()
        }
      },
      close: leave,
    },
    conflicts,
    error$,
    traffic$,
    attachments$,
    setAside,
    standBy(channel) {
      inquiry = createSyncedInquiry({ channel, clock: systemClock(), random: systemRandom() })
      standingBy.set(true)
    },
    takeOver() {
      inquiry?.takeOver()
      standingBy.set(false)
    },
    end(reason) {
      ended.abort(reason)
      inquiry?.close(ended.signal.reason)
      calls.abortAll(ended.signal.reason)
    },
    complete() {
      inquiry?.close(ended.signal.reason)
      conflicts.close()
      error$.complete()
      traffic$.complete()
      attachments$.complete()
    },
  }
}
