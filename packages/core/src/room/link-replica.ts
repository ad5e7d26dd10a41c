import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { ReplicaLinkPhase } from "../ports/replica.ts"
import type { AnnounceFrame, RootItem } from "../protocol/frame.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { EntryFindings } from "../protocol/reconciliation.ts"
import { differenceOf } from "../protocol/root-difference.ts"
import { sameBytes, startsWithBytes } from "../protocol/same-bytes.ts"
import { createChangeFeed } from "./change-feed.ts"
import { createHeldEntries } from "./held-entries.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import { offerNewer } from "./offer-newer.ts"
import { createOwed } from "./owed.ts"
import type { Permissions } from "./permissions.ts"
import { createPurposeTimers } from "./purpose-timers.ts"
import type { ReconcileLease } from "./reconcile-lease.ts"
import { createReconcileRunner, type ReconcileReport } from "./reconcile-runner.ts"
import { createRefusals } from "./refusals.ts"
import { createRunRecord } from "./run-record.ts"
import { createSendQueue, type KeptSummaries } from "./send-queue.ts"
import type { SharedReplica } from "./shared-replica.ts"

export interface LinkReplicaOptions {
  readonly session: string
  readonly device: string
  readonly shared: SharedReplica
  readonly announced: AnnounceFrame
  /** True on the side with the lower session id. */
  readonly initiator: boolean
  readonly permissions: Permissions
  readonly outbox: Outbox
  readonly keptSummaries: KeptSummaries
  readonly lease: ReconcileLease
  readonly clock: Clock
  readonly random: Random
  /** Some third peer was linked to both sides when they began. */
  readonly sharesLinks: boolean
  /** Counts the changes of the whole link. */
  readonly nextChange: () => number
  /** Entries asked of this peer for this replica, or received and not durable yet. */
  readonly pendingIn: () => number
  /** When the peer last answered anything on this link, about whichever replica; monotonic milliseconds. */
  readonly answeredAt: () => number
  /** False when another peer is being asked for the entry, or nobody can be asked now. */
  readonly want: (position: Uint8Array) => boolean
  /** Sends what is queued: entries as long as there is room, and all frames. */
  readonly pump: () => void
  readonly changed: () => void
  /** Rare, and what people wait for. */
  readonly phaseChanged: () => void
  readonly reconciled: (report: ReconcileReport) => void
}

/** Roots are not compared while changes are this fresh: under constant typing they are never equal. */
const QUIET_MS = 1_000
/**
 * A responder that sees unequal roots lets the initiator begin. But the initiator may have seen equal ones: it compared
 * with what this side announced before its last change.
 */
const RESPONDER_PATIENCE_MS = 500
/** While both sides keep changing, roots are unequal whenever they are compared: without a pause each change would cause two ROOTs. */
const ROOT_INTERVAL_MS = 100
/** If the peer has no more entries than this, this side never counts as behind. */
const BEHIND_ENTRIES = 64
/** Very many entries that were only announced are offered in portions, so that a key press does not wait behind them. */
const OFFER_INTERVAL_MS = 250
/** How long a storage is left alone after it failed. */
const REST_MS = 2_000
/** How long comparing has to settle what is owed to the peer before it is offered. */
const OWED_LIMIT_MS = 2_000

export function createLinkReplica(options: LinkReplicaOptions): LinkReplica {
  const { session, shared, announced, initiator, permissions, outbox, clock } = options
  const { index, slot } = shared
  const comparable = permissions.send && permissions.receive
  const queue = createSendQueue(index, options.keptSummaries)
  const refusals = createRefusals()
  const owed = createOwed()
  const timers = createPurposeTimers(clock, options.pump)
  const feed = createChangeFeed({
    slot,
    kind: shared.replica.kind,
    outbox,
    timers,
    nextChange: options.nextChange,
  })
  const { unconfirmed } = feed
  const held = createHeldEntries({ slot, index, permissions, refusals, feed, outbox })

  let phase: ReplicaLinkPhase = "reconciling"
  let lastSyncedAt: number | null = null
  let run = createRunRecord(0, null)
  /** Why our root is to be sent once nothing is under way: to compare roots, or because the peer asked for it. */
  let rootDue: "comparison" | "answer" | null = null
  /** The run of a one-way link has ended, and the peer was asked whether it has everything that the run found. */
  let confirming = false
  let compared = false
  /** The peer was told "agreed" after the first complete run: roots never become equal if an entry is refused and both sides change. */
  let told = false
  /** A reconciliation has ended on this link; before that, no difference of the roots is excused. */
  let hasRun = false
  /** Entries have moved since both sides last agreed: the responder waits to be told when they do again. */
  let unagreed = true
  let activeAt = clock.monotonic() - QUIET_MS
  /** The difference of the roots that remains because the entries behind it may not travel. */
  let excused: string | null = null
  let theirCount = announced.count
  let theirRoot = announced.root
  /** A read failed, and the queue has not been empty since: the peer may lack what is in it, whatever both sides agree on meanwhile. */
  let unread = false
  let closed = false

  const postponed = (): void => {
    run.delegated = true
    run.failed = true
  }

  const findings: EntryFindings = {
    lacksNode: (depth, prefix) => {
      if (permissions.send && !queue.addNode(depth, prefix)) postponed()
    },
    lacksEntry: (position) => {
      if (permissions.send && !queue.addEntry(position, null)) postponed()
    },
    differs: (position, theirs) => {
      if (refusals.hasDeclined(position, theirs)) return
      if (permissions.receive && !options.want(position)) delegate(position)
      else if (!permissions.receive) held.announce(position, 0)
    },
  }

  const runner = createReconcileRunner({
    session,
    slot,
    initiator,
    index,
    findings,
    mayReceive: permissions.receive,
    answeredAt: options.answeredAt,
    outbox,
    lease: options.lease,
    clock,
    random: options.random,
    timers,
    behind: () => permissions.receive && theirCount > BEHIND_ENTRIES && index.count * 2 < theirCount,
    started() {
      forgetComparison()
      run = createRunRecord(clock.monotonic(), { own: index.root(), theirs: theirRoot })
    },
    defers() {
      const { delegated } = run
      run.delegated = false
      return delegated
    },
    ended({ rounds, bytes, deferred }) {
      hasRun = true
      // The peer first asks others for some of what is held here.
      if (deferred) postponed()
      run.ended = { rounds, bytes }
      rootDue = "comparison"
      check()
    },
  })

  /** Another peer is asked for the entry, but this one may still lack our state of it. */
  const delegate = (position: Uint8Array): void => {
    run.delegated = true
    owes(position)
  }

  const owes = (position: Uint8Array): void => {
    const digest = index.get(position)?.digest
    if (permissions.send && digest !== undefined) owed.add(mapKey(position), digest)
    timers.startOnce("owed", OWED_LIMIT_MS, catchUp)
  }

  const offer = (positions: readonly Uint8Array[]): void => {
    if (held.offer(positions)) timers.start("probe", OFFER_INTERVAL_MS, probe)
  }

  /**
   * While somebody types without a pause, roots are never equal. Other work must not wait for that: what is owed is
   * offered, and what a run put off is looked for again.
   */
  const catchUp = (): void => {
    if (idle()) {
      if (owed.includes() && !owed.overflowed) offer(owed.take() ?? [])
      else if (phase !== "live" && initiator && comparable && run.delegated) runner.retry()
    }
    if (phase !== "live" || owed.includes()) timers.start("owed", OWED_LIMIT_MS, catchUp)
  }

  const forgetComparison = (): void => {
    if (rootDue === "comparison") rootDue = null
  }

  const setPhase = (next: ReplicaLinkPhase): void => {
    if (phase === next) return
    phase = next
    options.phaseChanged()
  }

  /** Nothing is being compared or asked for, and nothing waits to be sent. */
  const idle = (): boolean => {
    // A first run still waits for its turn: the responder must not take this side's root for the end of it.
    if (runner.waiting && phase !== "live") return false
    const reads = self.reading > 0 || (queue.size > 0 && !self.resting)
    return !runner.running && !reads && options.pendingIn() === 0
  }

  /** Nothing is under way for this replica in either direction, as far as this side knows. */
  const settled = (): boolean => idle() && (outbox.unacknowledged === 0 || unconfirmed.size === 0)

  const rootItem = (answer: boolean): RootItem => {
    const root = index.root()
    shared.history.told(root)
    return { slot, count: index.count, root, settled: settled(), answer, agreed: false }
  }

  const sendRoot = (flag?: "answer" | "agreed"): void => {
    outbox.control({ type: "root", roots: [{ ...rootItem(flag === "answer"), agreed: flag === "agreed" }] })
  }

  const reportRun = (): void => {
    const { ended, sent, received, startedAt } = run
    if (ended === null) return
    options.reconciled({ ...ended, sent, received, elapsedMs: clock.monotonic() - startedAt })
    run.ended = null
  }

  /** Nothing more can be exchanged: both sides are equal, or differ only in what may not travel. */
  const finish = (equal: boolean): void => {
    forgetComparison()
    unagreed = false
    compared = true
    runner.agreed()
    timers.cancel("patience")
    reportRun()
    const left = owed.take()
    if (equal) {
      excused = null
      unconfirmed.confirmAll()
    } else if (left === null) {
      compared = false
      probe()
    } else {
      // The peer may have agreed before these entries came here.
      offer(left)
    }
    if (comparable) shared.history.agreed(options.device, theirRoot)
    if (equal || !comparable) lastSyncedAt = clock.now()
    setPhase("live")
    options.changed()
  }

  const agree = (): void => {
    finish(false)
    sendRoot("agreed")
  }

  /**
   * A run that left both roots as they were cannot be improved on: what differs was refused, or said nothing new. Entries
   * that moved prove nothing, since they may have been known. A run that asked another peer for something does not count:
   * this one may still have it.
   */
  const wasFruitless = (item: RootItem): boolean => run.ended !== null && isUnmovedSinceRun(item)

  const isUnmovedSinceRun = (item: RootItem): boolean =>
    run.roots !== null &&
    !run.delegated &&
    sameBytes(run.roots.own, index.root()) &&
    sameBytes(run.roots.theirs, item.root)

  /**
   * Roots of a one-way link are never equal, but their difference stays the same while every change arrives. If it moved,
   * something was missed: because of a full disk, or because another peer was asked for an entry that it did not have.
   */
  const repairOneWay = (item: RootItem): void => {
    const difference = differenceOf(index, item)
    if (!item.settled || !settled() || excused === difference) return
    if (isUnmovedSinceRun(item)) excused = difference
    else if (!runner.waiting) runner.beginAfter(QUIET_MS)
  }

  const compareUnequal = (item: RootItem): void => {
    const difference = differenceOf(index, item)
    if (!initiator) {
      if (item.agreed) return finish(false)
      if (item.answer) rootDue ??= "answer"
      if (item.answer && item.settled && settled()) setPhase("live")
      return
    }
    // A responder says "agreed" only when it sees equal roots. If they are unequal here, this side has moved on.
    if (!item.settled || !settled()) {
      // An unsettled responder sends no root of its own accord: asking now makes it answer as soon as it is settled.
      rootDue = "comparison"
      return
    }
    if (!hasRun && phase !== "live") {
      // Exchanging what is newer than the last common root did not make the roots equal: compare everything.
      runner.begin()
      return
    }
    if (wasFruitless(item)) excused = difference
    if (excused === difference) {
      agree()
      return
    }
    reportRun()
    // Everything known at the start of the run has been exchanged; what differs now is newer.
    compared ||= !run.failed
    if (hasRun && !run.delegated && !told) {
      told = true
      sendRoot("agreed")
    }
    setPhase("live")
    if (clock.monotonic() - activeAt < QUIET_MS) runner.beginAfter(QUIET_MS)
    else if (!runner.waiting) runner.retry()
  }

  const endOneWay = (): void => {
    confirming = false
    // The peer that was asked instead may know less of the entry than this one.
    if (run.delegated) return runner.retry()
    agree()
  }

  const check = (): void => {
    if (queue.size === 0 && self.reading === 0) unread = false
    if (closed || rootDue === null || !settled()) return
    if (phase === "live" && timers.has("root")) return
    timers.start("root", ROOT_INTERVAL_MS, check)
    const compares = rootDue === "comparison"
    rootDue = null
    // A one-way link has only its run to go by: before the run has ended, answering the peer must not pass for its end.
    if (!comparable && initiator && (compares || phase === "live")) {
      // The responder asks for those differing entries that are held here, and answers once it has them.
      if (!compares || !permissions.send) return endOneWay()
      confirming = true
    }
    sendRoot(compares && initiator ? "answer" : undefined)
  }

  const probe = (): void => {
    if (!closed) sendRoot("answer")
  }

  const self: LinkReplica = {
    shared,
    theirSlot: announced.slot,
    permissions,
    sharesLinks: options.sharesLinks,
    queue,
    feed,
    refusals,
    owed,
    held,
    postponed,
    owes,
    get closed() {
      return closed
    },
    get phase() {
      return phase
    },
    get compared() {
      return compared && !unread
    },
    get lastSyncedAt() {
      return lastSyncedAt
    },
    get pendingOut() {
      return permissions.send ? unconfirmed.size + queue.size : 0
    },
    reading: 0,
    get resting() {
      return timers.has("rest")
    },
    rest() {
      unread = true
      // The timer only has to wake: the pump that follows every wake does the rest.
      timers.start("rest", REST_MS, () => {})
    },
    start() {
      if (!permissions.send && !permissions.receive) return finish(false)
      const equal = announced.count === index.count && sameBytes(announced.root, index.root())
      if (equal && comparable) return finish(true)
      timers.start("owed", OWED_LIMIT_MS, catchUp)
      const enough = comparable && offerNewer(options, queue, unconfirmed)
      if (!initiator) {
        timers.start("patience", RESPONDER_PATIENCE_MS, probe)
      } else if (enough) {
        rootDue = "comparison"
        check()
      } else {
        runner.begin()
      }
    },
    range(frame) {
      if (!frame.reply) timers.cancel("patience")
      runner.range(frame)
    },
    rangeAck: (frame) => runner.rangeAck(frame),
    root(item) {
      theirCount = item.count
      theirRoot = item.root.slice()
      const equal = item.count === index.count && sameBytes(item.root, index.root())
      if (equal && comparable) {
        const tell = item.answer || (initiator && unagreed && !item.agreed)
        finish(true)
        if (tell) sendRoot("agreed")
        return
      }
      if (comparable) {
        compareUnequal(item)
      } else {
        if (item.agreed || (item.settled && phase === "live")) finish(false)
        if (item.answer) rootDue ??= "answer"
        if (confirming && item.settled) endOneWay()
        else if (initiator && phase === "live") repairOneWay(item)
      }
      check()
    },
    push(transition) {
      if (!permissions.send || closed) return
      activeAt = clock.monotonic()
      feed.push(transition)
    },
    peerHolds(position, digest) {
      const key = mapKey(position)
      const held = index.get(position)?.digest
      const wasOwed = owed.holds(key, digest)
      const wasUnconfirmed = held !== undefined && startsWithBytes(held, digest) && unconfirmed.holds(key)
      if (wasOwed || wasUnconfirmed) options.changed()
    },
    exchanged(direction) {
      activeAt = clock.monotonic()
      unagreed = true
      run[direction]++
      runner.progress()
    },
    check,
    probe,
    probeSoon() {
      // Before the link is live, the end of the first run compares roots anyway.
      if (phase === "live") timers.startOnce("probe", QUIET_MS, probe)
    },
    rootItem,
    close() {
      closed = true
      options.lease.release(session)
      timers.close()
      queue.clear()
      feed.close()
    },
  }
  return self
}
