import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { FingerprintIndex } from "../protocol/fingerprint-index.ts"
import type { RangeAckFrame, RangeFrame } from "../protocol/frame.ts"
import type { Outbox } from "../protocol/outbox.ts"
import {
  answerRange,
  createReconciliation,
  type EntryFindings,
  type Reconciliation,
} from "../protocol/reconciliation.ts"
import type { PurposeTimers } from "./purpose-timers.ts"
import type { ReconcileLease } from "./reconcile-lease.ts"

/** The result of a run, once the entries that it found have been exchanged. */
export interface ReconcileReport {
  readonly rounds: number
  readonly bytes: number
  readonly sent: number
  readonly received: number
  readonly elapsedMs: number
}

/** Runs reconciliations of one replica with one peer: decides when they begin, stall, are put off and begin again. */
export interface ReconcileRunner {
  /** Begins a run unless one is under way; only the initiator does. */
  begin(): void
  /** Begins a run after a delay that grows each time. */
  retry(): void
  beginAfter(delayMs: number): void
  range(frame: RangeFrame): void
  rangeAck(frame: RangeAckFrame): void
  /** Entries are moving: the run, or what follows from it, is alive. */
  progress(): void
  /** Both sides agree: the back-off starts over. */
  agreed(): void
  readonly running: boolean
  readonly waiting: boolean
}

export interface ReconcileRunnerOptions {
  readonly session: string
  readonly slot: number
  readonly initiator: boolean
  readonly index: FingerprintIndex
  readonly findings: EntryFindings
  readonly mayReceive: boolean
  /** When the peer last answered anything over the link: the answers of a run queue behind other answers. */
  readonly answeredAt: () => number
  readonly outbox: Outbox
  readonly lease: ReconcileLease
  readonly clock: Clock
  readonly random: Random
  /** Each wake is followed by a flush. */
  readonly timers: PurposeTimers
  /** Most of the peer's entries are missing here. */
  readonly behind: () => boolean
  readonly started: () => void
  /** Whether anything found since the last call cannot be exchanged with this peer now. */
  readonly defers: () => boolean
  /** All ranges are compared; entries may still be under way. */
  readonly ended: (run: Reconciliation) => void
}

/**
 * A run begins again with another salt if the peer answers nothing for this long. Lanes lose nothing, and a slow path may
 * take ten seconds for one message: such a silence means a peer that does not do its part.
 */
const SILENT_MS = 30_000
/** The first rerun comes soon, because most often changes crossed on the way. Later ones back off. */
const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 30_000
const NO_PLACE_RETRY_MS = 300
const POSTPONED_RETRY_MS = 500

export function createReconcileRunner(options: ReconcileRunnerOptions): ReconcileRunner {
  const { session, slot, index, findings, outbox, lease, clock, random, timers } = options
  let run: Reconciliation | null = null
  let progressAt = 0
  let failures = 0

  /** Longer with each failure. */
  const backedOff = (firstMs: number): number => Math.min(LAST_RETRY_MS, firstMs * 2 ** failures)
  const jitter = (baseMs: number): number => baseMs * (0.8 + random.unit() * 0.4)

  const progress = (): void => {
    progressAt = clock.monotonic()
    lease.renew(session, progressAt)
  }

  const begin = (): void => {
    if (run !== null || !options.initiator) return
    if (!lease.acquire(session, options.behind(), clock.monotonic())) {
      timers.start("run", jitter(NO_PLACE_RETRY_MS), begin)
      return
    }
    timers.cancel("run")
    options.started()
    const salt = new DataView(random.bytes(4).buffer).getUint32(0)
    run = createReconciliation(index, slot, salt, findings, options.mayReceive)
    proceed(run)
  }

  const proceed = (current: Reconciliation): void => {
    progress()
    for (const frame of current.requests(progressAt, outbox.wantsControl)) outbox.control(frame)
    if (current.postponed) {
      run = null
      lease.release(session)
      timers.start("run", jitter(POSTPONED_RETRY_MS), begin)
    } else if (current.done) {
      run = null
      timers.cancel("watchdog")
      options.ended(current)
    } else {
      timers.start("watchdog", SILENT_MS, watch)
    }
  }

  const watch = (): void => {
    if (run === null) return
    const leftMs = SILENT_MS - (clock.monotonic() - Math.max(progressAt, options.answeredAt()))
    if (leftMs > 0) {
      // At least a millisecond: the fraction that is left may be too small to move the clock.
      timers.start("watchdog", Math.max(1, leftMs), watch)
      return
    }
    run = null
    retry()
  }

  const retry = (): void => {
    lease.release(session)
    timers.start("run", jitter(backedOff(FIRST_RETRY_MS)), begin)
    failures++
  }

  const answer = (frame: RangeFrame): void => {
    if (!lease.acquire(session, options.behind(), clock.monotonic())) {
      const { salt, sequence } = frame
      outbox.control({ type: "range-ack", slot, salt, sequence, answered: 0, later: true })
      return
    }
    progress()
    const { replies, ack } = answerRange(
      index,
      slot,
      frame,
      findings,
      options.mayReceive,
      outbox.wantsControl,
    )
    for (const reply of replies) outbox.control(reply)
    outbox.control({ ...ack, later: options.defers() })
  }

  return {
    begin,
    retry,
    beginAfter: (delayMs) => timers.start("run", delayMs, begin),
    range(frame) {
      if (!frame.reply) {
        answer(frame)
        return
      }
      if (run?.replied(frame)) progress()
    },
    rangeAck(frame) {
      if (run?.acknowledged(frame, clock.monotonic())) proceed(run)
    },
    progress,
    agreed() {
      failures = 0
      lease.release(session)
      timers.cancel("run")
    },
    get running() {
      return run !== null
    },
    get waiting() {
      return timers.has("run")
    },
  }
}
