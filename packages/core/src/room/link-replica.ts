import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { ReplicaLinkPhase } from "../ports/replica.ts"
import { bytesEqual, mapKey, mapKeyBytes } from "../protocol/bytes-equal.ts"
import type { AnnounceFrame, RangeAckFrame, RangeFrame, RootItem } from "../protocol/frame.ts"
import { MAX_ITEMS, MAX_PUSH_BYTES, SHORT_DIGEST_BYTES } from "../protocol/limits.ts"
import type { Outbox } from "../protocol/outbox.ts"
import {
  answerRange,
  createReconciliation,
  type EntryFindings,
  type Reconciliation,
} from "../protocol/reconciliation.ts"
import { differenceOf, type RootDifference, sameDifference } from "../protocol/root-difference.ts"
import type { ReconcileLease } from "./reconcile-lease.ts"
import { createSendQueue, type SendQueue } from "./send-queue.ts"
import type { SharedReplica, Transition } from "./shared-replica.ts"
import { createUnconfirmed, type Unconfirmed } from "./unconfirmed.ts"

/** What travels between this device and the peer for one replica: directions and roles of both sides. */
export interface Permissions {
  readonly send: boolean
  readonly receive: boolean
}

export interface ReconcileReport {
  readonly rounds: number
  readonly bytes: number
  readonly sent: number
  readonly received: number
  readonly elapsedMs: number
}

export interface LinkReplicaOptions {
  readonly session: string
  readonly shared: SharedReplica
  readonly announced: AnnounceFrame
  /** Of the two sides the one with the lower session id. */
  readonly initiator: boolean
  readonly permissions: Permissions
  readonly outbox: Outbox
  readonly lease: ReconcileLease
  readonly clock: Clock
  readonly random: Random
  /** Entries asked of this peer for this replica, or received and not durable yet. */
  readonly pendingIn: () => number
  readonly want: (position: Uint8Array) => void
  readonly pump: () => void
  readonly changed: () => void
  readonly reconciled: (report: ReconcileReport) => void
}

/** One replica on one link: reconciliation, roots, live changes, and what is still owed to the peer. */
export interface LinkReplica {
  readonly shared: SharedReplica
  readonly theirSlot: number
  readonly permissions: Permissions
  readonly phase: ReplicaLinkPhase
  readonly lastSyncedAt: number | null
  readonly queue: SendQueue
  readonly unconfirmed: Unconfirmed
  readonly pendingOut: number
  /** Entries (positions to digests) that the peer refused; not sent again while the digest stands. */
  readonly refused: Map<string, Uint8Array>
  /** Entries being read from the replica for the peer. */
  reading: number
  start(): void
  range(frame: RangeFrame): void
  rangeAck(frame: RangeAckFrame): void
  root(item: RootItem): void
  /** Sends a change at once, or says HAVE when it cannot be pushed. */
  push(transition: Transition): void
  /** Says HAVE after `delayMs`, unless the peer is known to hold the entry by then. */
  announce(position: Uint8Array, digest: Uint8Array, delayMs: number): void
  /** The peer said, or showed, that it holds this digest. */
  peerHolds(position: Uint8Array, digest: Uint8Array): void
  /** An entry came in or was confirmed and counted as progress. */
  exchanged(direction: "sent" | "received"): void
  /** Something that was under way has ended: roots may be due. */
  check(): void
  /** Asks for the peer's root now. */
  probe(): void
  rootItem(answer: boolean): RootItem
  close(): void
}

/** A reconciliation that hears nothing for so long starts again with another salt. */
const PROGRESS_LIMIT_MS = 2_000
/** The first rerun comes soon: most often changes crossed on the way. Later ones back off. */
const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 30_000
/** Roots are not compared while changes are this fresh: under constant typing they are never equal. */
const QUIET_MS = 1_000
/** A responder that sees unequal roots lets the initiator begin, but not for ever. */
const RESPONDER_PATIENCE_MS = 3_000
const MAX_REMEMBERED = 4_096

export function createLinkReplica(options: LinkReplicaOptions): LinkReplica {
  const { session, shared, announced, initiator, permissions, outbox, lease, clock, random } = options
  const { index } = shared
  const slot = shared.slot
  const comparable = permissions.send && permissions.receive
  const queue = createSendQueue(index)
  const unconfirmed = createUnconfirmed()
  const refused = new Map<string, Uint8Array>()
  const heldByPeer = new Map<string, Uint8Array>()
  const announcements = new Map<string, Uint8Array>()
  const timers = new Map<string, () => void>()

  let phase: ReplicaLinkPhase = "reconciling"
  let lastSyncedAt: number | null = null
  let run: Reconciliation | null = null
  let runStartedAt = 0
  let progressAt = 0
  let exchangedSent = 0
  let exchangedReceived = 0
  let awaitingSettle = false
  let owesRoot = false
  let failures = 0
  let activeAt = clock.monotonic() - QUIET_MS
  let excused: RootDifference | null = null
  let reading = 0
  let theirCount = announced.count
  let closed = false

  /** One timer a purpose; a later one replaces it. */
  const after = (purpose: string, delayMs: number, wake: () => void): void => {
    timers.get(purpose)?.()
    if (closed) return
    const cancel = clock.after(delayMs, () => {
      timers.delete(purpose)
      wake()
    })
    timers.set(purpose, cancel)
  }

  const jitter = (baseMs: number): number => baseMs * (0.8 + random.unit() * 0.4)

  const setPhase = (next: ReplicaLinkPhase): void => {
    if (phase === next) return
    phase = next
    options.changed()
  }

  const settled = (): boolean =>
    run === null &&
    queue.size === 0 &&
    reading === 0 &&
    options.pendingIn() === 0 &&
    unconfirmedInFlight() === 0

  /** Entries that were sent and not acknowledged are still under way; those only announced are not. */
  const unconfirmedInFlight = (): number => (outbox.unacknowledged === 0 ? 0 : unconfirmed.size)

  const findings: EntryFindings = {
    lacksNode: (depth, prefix) => {
      if (permissions.send) queue.addNode(depth, prefix)
    },
    lacksEntry: (position) => {
      if (permissions.send) queue.addEntry(position, null)
    },
    differs: (position) => {
      if (permissions.receive) options.want(position)
      else if (permissions.send) announceSoon(position)
    },
  }

  const announceSoon = (position: Uint8Array): void => {
    const digest = index.get(position)?.digest
    if (digest !== undefined) self.announce(position, digest, 0)
  }

  const behind = (): boolean => permissions.receive && theirCount > 64 && index.count * 2 < theirCount

  const beginRun = (): void => {
    if (closed || run !== null || !initiator) return
    if (!lease.acquire(session, behind(), clock.monotonic())) {
      after("run", jitter(300), beginRun)
      return
    }
    timers.get("run")?.()
    timers.delete("run")
    awaitingSettle = false
    exchangedSent = 0
    exchangedReceived = 0
    runStartedAt = clock.monotonic()
    const salt = new DataView(random.bytes(4).buffer).getUint32(0)
    run = createReconciliation(index, slot, salt, findings, permissions.receive)
    continueRun()
  }

  const continueRun = (): void => {
    if (run === null) return
    progress()
    for (const frame of run.requests()) outbox.control(frame)
    if (run.postponed) {
      run = null
      lease.release(session)
      after("run", jitter(500), beginRun)
      return
    }
    if (run.done) {
      endRun(run)
      return
    }
    after("watchdog", PROGRESS_LIMIT_MS, watch)
    options.pump()
  }

  const progress = (): void => {
    progressAt = clock.monotonic()
    lease.renew(session, progressAt)
  }

  const watch = (): void => {
    if (run === null) return
    const quietMs = clock.monotonic() - progressAt
    if (quietMs < PROGRESS_LIMIT_MS) {
      after("watchdog", PROGRESS_LIMIT_MS - quietMs, watch)
      return
    }
    run = null
    retry()
  }

  const retry = (): void => {
    lease.release(session)
    const delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures)
    failures = Math.min(failures + 1, 7)
    after("run", jitter(delayMs), beginRun)
  }

  const endRun = (ended: Reconciliation): void => {
    run = null
    timers.get("watchdog")?.()
    timers.delete("watchdog")
    lastRun = { rounds: ended.rounds, bytes: ended.bytes }
    awaitingSettle = true
    options.pump()
    self.check()
  }
  let lastRun: { readonly rounds: number; readonly bytes: number } | null = null

  const reportRun = (): void => {
    if (lastRun === null) return
    const elapsedMs = clock.monotonic() - runStartedAt
    options.reconciled({ ...lastRun, sent: exchangedSent, received: exchangedReceived, elapsedMs })
    lastRun = null
  }

  const sendRoot = (flags: { readonly answer: boolean; readonly agreed: boolean }): void => {
    outbox.control({ type: "root", roots: [{ ...self.rootItem(flags.answer), agreed: flags.agreed }] })
  }

  /** Nothing more can be exchanged: both sides are equal, or differ only in what may not travel. */
  const finish = (equal: boolean): void => {
    failures = 0
    awaitingSettle = false
    lease.release(session)
    timers.get("run")?.()
    timers.delete("run")
    timers.get("patience")?.()
    timers.delete("patience")
    reportRun()
    if (equal) {
      excused = null
      unconfirmed.confirmAll()
    }
    if (equal || !comparable) lastSyncedAt = clock.now()
    setPhase("live")
    options.changed()
  }

  const compareUnequal = (item: RootItem): void => {
    const difference = differenceOf(index, item)
    if (item.agreed) {
      excused = difference
      finish(false)
      return
    }
    if (!initiator) return
    if (!item.settled || !settled()) {
      awaitingSettle = awaitingSettle || item.settled
      return
    }
    const fruitless = lastRun !== null && exchangedSent + exchangedReceived === 0
    if (fruitless) excused = difference
    if (sameDifference(excused, difference)) {
      const silent = phase === "live" && !item.answer
      finish(false)
      if (!silent) sendRoot({ answer: false, agreed: true })
      return
    }
    reportRun()
    // Everything known at the start of the run has been exchanged; what differs now is newer.
    setPhase("live")
    const quietForMs = clock.monotonic() - activeAt
    if (phase === "live" && quietForMs < QUIET_MS) after("run", QUIET_MS, beginRun)
    else if (!timers.has("run")) retry()
  }

  const flushAnnouncements = (): void => {
    if (announcements.size === 0 || closed) return
    if (!outbox.wantsControl) {
      after("announce", 200, flushAnnouncements)
      return
    }
    const items: { position: Uint8Array; digest: Uint8Array }[] = []
    for (const [key, digest] of announcements) {
      const held = heldByPeer.get(key)
      if (held === undefined || !bytesEqual(held, digest)) items.push({ position: mapKeyBytes(key), digest })
    }
    announcements.clear()
    for (let at = 0; at < items.length; at += MAX_ITEMS / 2) {
      outbox.control({ type: "have", slot, items: items.slice(at, at + MAX_ITEMS / 2) })
    }
    options.pump()
  }

  const self: LinkReplica = {
    shared,
    theirSlot: announced.slot,
    permissions,
    queue,
    unconfirmed,
    refused,
    get phase() {
      return phase
    },
    get lastSyncedAt() {
      return lastSyncedAt
    },
    get pendingOut() {
      return permissions.send ? unconfirmed.size + queue.size : 0
    },
    get reading() {
      return reading
    },
    set reading(value) {
      reading = value
    },
    start() {
      if (!permissions.send && !permissions.receive) {
        finish(false)
        return
      }
      const equal = announced.count === index.count && bytesEqual(announced.root, index.root())
      if (equal && comparable) finish(true)
      else if (initiator) beginRun()
      else after("patience", RESPONDER_PATIENCE_MS, self.probe)
    },
    range(frame) {
      if (frame.reply) {
        run?.replied(frame)
        progress()
        return
      }
      timers.get("patience")?.()
      timers.delete("patience")
      const now = clock.monotonic()
      if (!lease.acquire(session, behind(), now)) {
        const { salt, sequence } = frame
        outbox.control({ type: "range-ack", slot, salt, sequence, frames: 0, answered: 0, later: true })
        return
      }
      progress()
      const { replies, ack } = answerRange(index, slot, frame, findings, permissions.receive)
      for (const reply of replies) outbox.control(reply)
      outbox.control(ack)
      options.pump()
    },
    rangeAck(frame) {
      run?.acknowledged(frame)
      continueRun()
    },
    root(item) {
      theirCount = item.count
      const equal = item.count === index.count && bytesEqual(item.root, index.root())
      if (equal && comparable) {
        finish(true)
        if (item.answer) sendRoot({ answer: false, agreed: true })
        return
      }
      if (!comparable) {
        if (item.agreed || (item.settled && phase === "live")) finish(false)
        if (item.answer) owesRoot = true
      } else {
        compareUnequal(item)
        if (item.answer && !item.agreed && !initiator) {
          owesRoot = true
          if (item.settled && settled()) setPhase("live")
        }
      }
      self.check()
    },
    push(transition) {
      if (!permissions.send || closed) return
      activeAt = clock.monotonic()
      const { position, before, after: digest, delta, key } = transition
      const changes = unconfirmed.changed(mapKey(position), digest)
      if (digest === null) {
        unconfirmed.confirmed(mapKey(position), changes)
        return
      }
      const short = digest.slice(0, SHORT_DIGEST_BYTES)
      const pushed =
        delta !== undefined &&
        delta.length <= MAX_PUSH_BYTES &&
        outbox.push(
          {
            type: "push",
            slot,
            kind: shared.replica.kind,
            key,
            before: before?.slice(0, SHORT_DIGEST_BYTES) ?? new Uint8Array(SHORT_DIGEST_BYTES),
            after: short,
            delta,
          },
          { slot, position, digest: short, changes },
        )
      if (!pushed) self.announce(position, digest, 0)
    },
    announce(position, digest, delayMs) {
      if (!permissions.send || closed) return
      announcements.set(mapKey(position), digest.slice(0, SHORT_DIGEST_BYTES))
      if (delayMs === 0) flushAnnouncements()
      else if (!timers.has("announce")) after("announce", delayMs, flushAnnouncements)
    },
    peerHolds(position, digest) {
      const key = mapKey(position)
      heldByPeer.delete(key)
      heldByPeer.set(key, digest.slice(0, SHORT_DIGEST_BYTES))
      unconfirmed.holds(key, digest)
      if (heldByPeer.size <= MAX_REMEMBERED) return
      const oldest = heldByPeer.keys().next().value
      if (oldest !== undefined) heldByPeer.delete(oldest)
    },
    exchanged(direction) {
      activeAt = clock.monotonic()
      if (direction === "sent") exchangedSent++
      else exchangedReceived++
      progress()
    },
    check() {
      if (closed || (!awaitingSettle && !owesRoot) || !settled()) return
      const answer = awaitingSettle && initiator
      owesRoot = false
      awaitingSettle = false
      if (!comparable && initiator) {
        finish(false)
        sendRoot({ answer: false, agreed: true })
        return
      }
      sendRoot({ answer, agreed: false })
    },
    probe() {
      if (!closed) outbox.control({ type: "root", roots: [self.rootItem(true)] })
    },
    rootItem: (answer) => ({
      slot,
      count: index.count,
      root: index.root(),
      settled: settled(),
      answer,
      agreed: false,
    }),
    close() {
      closed = true
      lease.release(session)
      for (const cancel of timers.values()) cancel()
      timers.clear()
      queue.clear()
      announcements.clear()
    },
  }
  return self
}
