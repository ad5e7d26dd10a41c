import type { ReplicaLinkStatus } from "@dunlin/core"
import type { RxReplicationState } from "rxdb/plugins/replication"
import type { RxCollection, RxDocument, WithDeleted } from "rxdb"
import {
  BehaviorSubject,
  distinctUntilChanged,
  filter,
  map,
  mergeMap,
  type Observable,
  Subject,
  type Subscription,
  takeUntil,
} from "rxjs"
import type { DocumentTraffic } from "../document-traffic.ts"
import type { RxdbHandle } from "../rxdb-replica.ts"
import { runOfApplication } from "./application-code.ts"
import { DropInError, type PoolError } from "./drop-in-error.ts"
import { refuseMembers } from "./refused-members.ts"
import type { PeerBook, SimplePeer } from "./simple-peer.ts"
import type { SyncOptionsWebRTC, WebRTCReplicationCheckpoint } from "./sync-options.ts"

/** A peer, and how the replication with it is doing. */
export interface WebRTCPeerState<RxDocType, PeerType> {
  readonly peer: PeerType
  /** Names the peer's present run, as RxDB's storage token does. */
  readonly peerToken: string
  /** Present on every side: there is no master. */
  readonly replicationState: RxWebRTCReplicationState<RxDocType>
  /** What is put here is unsubscribed when the peer goes. */
  readonly subs: Subscription[]
}

/** What `peerStates$` emits. */
export type PeerStates<RxDocType> = Map<SimplePeer, WebRTCPeerState<RxDocType, SimplePeer>>

/** How the replication with one peer is doing, in the shape of RxDB's state. */
export interface RxWebRTCReplicationState<RxDocType> extends Pick<
  RxReplicationState<RxDocType, WebRTCReplicationCheckpoint>,
  RefusedStateMember
> {
  /** Collection, topic and peer, as RxDB puts them together. */
  readonly replicationIdentifier: string
  readonly collection: RxCollection<RxDocType>
  readonly deletedField: "_deleted"
  readonly live: true
  readonly autoStart: true
  readonly wasStarted: true
  readonly startPromise: Promise<void>
  /** What is put here is unsubscribed when the peer goes. */
  readonly subs: Subscription[]
  /** What is put here is called when the peer goes. */
  readonly onCancel: (() => void)[]
  /** Whether anything is on its way. */
  readonly active$: Observable<boolean>
  /** What went wrong with this peer. */
  readonly error$: Observable<PoolError>
  /** Documents as they come from this peer, once they are stored. */
  readonly received$: Observable<WithDeleted<RxDocType>>
  /** Documents as they are read for this peer. */
  readonly sent$: Observable<WithDeleted<RxDocType>>
  /** Whether the peer has gone, or the pool was canceled. */
  readonly canceled$: Observable<boolean>
  /** Never: a peer that is not connected is gone. */
  isPaused(): false
  /** Whether the peer has gone, or the pool was canceled. */
  isStopped(): boolean
  isStoppedOrPaused(): boolean
  /** Resolves at once: replication has been running since the peer came. */
  start(): Promise<void>
  /** Nothing to do: both sides compare when they connect, and tell each other every change. */
  reSync(): void
  /**
   * Resolves, with true, when the peer holds every write that was complete here before the call and nothing is on its
   * way. Rejects when the peer goes first.
   */
  awaitInSync(): Promise<true>
  /** Resolves when both sides have been equal once. Rejects when the peer goes first. */
  awaitInitialReplication(): Promise<void>
  /** Resolves when the peer holds this document as it is here now. Rejects when the peer goes first. */
  awaitDocumentPushed(document: RxDocument<RxDocType>): Promise<void>
}

const INSTEAD = {
  pause: "a pool runs or is canceled; cancel it and call replicateWebRTC() again",
  cancel: "keep a peer out with isPeerValid, or cancel the pool",
  remove: "nothing is kept for single peers; cancel the pool",
  emitEvent: "documents come from peers alone; write to the collection",
  conflict$: "pool.handle()?.conflicts$ tells every merge, whichever peer it came by",
  remoteEvents$: "received$ tells what came",
  subjects: "subscribe to received$, sent$, error$, canceled$ or active$",
  metaInfoPromise: "no copy of the collection is kept for a peer",
  startQueue: "start() and awaitInSync() resolve by themselves",
  pull: "read pool.options.pull",
  push: "read pool.options.push",
  retryTime: "pauses between attempts are the protocol's",
  toggleOnDocumentVisible: "a hidden page replicates like any other",
  internalReplicationState: "pool.handle() is the collection in its room",
  metaInstance: "no copy of the collection is kept for a peer",
  _start: "it runs since the peer came",
  _cancel: "keep a peer out with isPeerValid, or cancel the pool",
} as const
type RefusedStateMember = keyof typeof INSTEAD

interface TrackedPeer<RxDocType> {
  readonly peer: SimplePeer
  readonly state: WebRTCPeerState<RxDocType, SimplePeer>
  readonly status: BehaviorSubject<ReplicaLinkStatus>
  /** Ends everything that exists for the peer. */
  gone(): void
}

interface FollowDeps<RxDocType> {
  readonly handle: RxdbHandle<RxDocType>
  readonly topic: SyncOptionsWebRTC<RxDocType, unknown>["topic"]
  readonly book: PeerBook
  readonly states$: BehaviorSubject<PeerStates<RxDocType>>
  readonly error$: Observable<PoolError>
}

/** Keeps `states$` up to date with the links of one collection. Returns the function that stops this. */
export function followPeers<RxDocType>(deps: FollowDeps<RxDocType>): () => void {
  const { handle, states$ } = deps
  const tracked = new Map<string, TrackedPeer<RxDocType>>()

  const update = (): void => {
    const links = handle.links.get()
    const left: TrackedPeer<RxDocType>[] = []
    let changed = false
    for (const [session, status] of links) {
      if (status.phase === "waiting" || status.phase === "incompatible") continue
      const known = tracked.get(session)
      if (known === undefined) {
        tracked.set(session, track(deps, status))
        changed = true
      } else known.status.next(status)
    }
    for (const [session, one] of tracked) {
      const phase = links.get(session)?.phase
      if (phase === "reconciling" || phase === "live") continue
      tracked.delete(session)
      left.push(one)
      changed = true
    }
    if (changed) states$.next(new Map([...tracked.values()].map(({ peer, state }) => [peer, state])))
    for (const one of left) one.gone()
  }

  const unsubscribe = handle.links.subscribe(update)
  update()
  return () => {
    unsubscribe()
    const left = [...tracked.values()]
    tracked.clear()
    states$.next(new Map())
    for (const one of left) one.gone()
  }
}

function track<RxDocType>(
  { handle, topic, book, error$ }: FollowDeps<RxDocType>,
  first: ReplicaLinkStatus,
): TrackedPeer<RxDocType> {
  const { peer: session, device } = first
  const { collection } = handle
  const status = new BehaviorSubject(first)
  const canceled$ = new BehaviorSubject(false)
  const gone$ = new Subject<void>()
  const subs: Subscription[] = []
  const onCancel: (() => void)[] = []
  const documents = (direction: DocumentTraffic["direction"]): Observable<WithDeleted<RxDocType>> =>
    handle.traffic$.pipe(
      filter((one) => one.direction === direction && (one.peer === null || one.peer === session)),
      mergeMap((one) => one.documents),
    )
  const hasLeft = (): DropInError => new DropInError("peer", "The peer left before both sides were equal.")
  const until = (reached: (status: ReplicaLinkStatus) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const subscription = status.pipe(filter(reached)).subscribe({
        next: () => {
          resolve()
          queueMicrotask(() => subscription.unsubscribe())
        },
        complete: () => reject(hasLeft()),
      })
    })
  const held = async (keys?: readonly string[]): Promise<void> => {
    const gone = new AbortController()
    const watching = status.subscribe({ complete: () => gone.abort(hasLeft()) })
    try {
      await handle.synced({ session, signal: gone.signal, ...(keys === undefined ? {} : { keys }) })
    } catch (cause) {
      gone.signal.throwIfAborted()
      throw new DropInError("peer", `The sides did not become equal: ${String(cause)}`, { cause })
    } finally {
      watching.unsubscribe()
    }
  }
  const replicationState: Omit<RxWebRTCReplicationState<RxDocType>, RefusedStateMember> = {
    replicationIdentifier: [collection.name, topic, session].join("||"),
    collection,
    deletedField: "_deleted",
    live: true,
    autoStart: true,
    wasStarted: true,
    startPromise: Promise.resolve(),
    subs,
    onCancel,
    active$: status.pipe(map(isActive), distinctUntilChanged()),
    error$: error$.pipe(
      filter(({ parameters }) => (parameters as { readonly peer?: unknown }).peer === session),
      takeUntil(gone$),
    ),
    received$: documents("received"),
    sent$: documents("sent"),
    canceled$: canceled$.asObservable(),
    isPaused: () => false,
    isStopped: () => canceled$.getValue(),
    isStoppedOrPaused: () => canceled$.getValue(),
    start: () => Promise.resolve(),
    reSync() {},
    async awaitInSync() {
      // The status may be older than the latest write.
      await held()
      await until((one) => !isActive(one))
      return true
    },
    awaitInitialReplication: () => until((one) => one.lastSyncedAt !== undefined || !isActive(one)),
    awaitDocumentPushed: (document) => held([document.primary]),
  }
  refuseMembers(replicationState, "replicationState", INSTEAD)
  const peer = book.peerOf({ session, device })
  return {
    peer,
    state: {
      peer,
      peerToken: session,
      replicationState: replicationState as RxWebRTCReplicationState<RxDocType>,
      subs,
    },
    status,
    gone() {
      status.complete()
      gone$.next()
      canceled$.next(true)
      canceled$.complete()
      for (const sub of subs) runOfApplication(() => sub.unsubscribe())
      for (const done of onCancel) runOfApplication(done)
    },
  }
}

function isActive({ phase, pendingIn, pendingOut }: ReplicaLinkStatus): boolean {
  return phase !== "live" || pendingIn > 0 || pendingOut > 0
}
