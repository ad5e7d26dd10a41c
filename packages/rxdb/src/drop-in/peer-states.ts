import type { ReplicaLinkStatus } from "@dunlin/core"
import type { WithDeleted } from "rxdb"
import { BehaviorSubject, distinctUntilChanged, filter, map, mergeMap, type Observable, Subject } from "rxjs"
import type { DocumentTraffic } from "../document-traffic.ts"
import type { RxdbHandle } from "../rxdb-replica.ts"
import type { DocumentData } from "../document-shape.ts"
import { DropInError } from "./drop-in-error.ts"

/** A peer that shares the collection, as `peerStates$` keys it: the same object as long as it is connected. */
export interface WebRTCPeer {
  /** Session id, 32 hex digits. */
  readonly session: string
  /** Device public key, 64 hex digits: authenticated. */
  readonly device: string
}

/** A peer, and how the replication with it is doing. */
export interface WebRTCPeerState<RxDocType = DocumentData> {
  readonly peer: WebRTCPeer
  /** Names the peer's present run, as RxDB's storage token does. */
  readonly peerToken: string
  readonly replicationState: PeerReplicationState<RxDocType>
}

/** How the replication with one peer is doing; on every side, since there is no master. */
export interface PeerReplicationState<RxDocType = DocumentData> {
  /** Whether anything is on its way. */
  readonly active$: Observable<boolean>
  /** What went wrong with this peer. */
  readonly error$: Observable<DropInError>
  /** Documents as they come from this peer, once they are stored. */
  readonly received$: Observable<WithDeleted<RxDocType>>
  /** Documents as they are read for this peer. */
  readonly sent$: Observable<WithDeleted<RxDocType>>
  /**
   * Resolves, with true, when the peer holds every write that was complete here before the call and nothing is on its
   * way. Rejects when the peer goes first.
   */
  awaitInSync(): Promise<true>
  /** Resolves when both sides have been equal once. Rejects when the peer goes first. */
  awaitInitialReplication(): Promise<void>
}

/** What `peerStates$` tells. */
export type PeerStates<RxDocType = DocumentData> = ReadonlyMap<WebRTCPeer, WebRTCPeerState<RxDocType>>

interface TrackedPeer {
  readonly peer: WebRTCPeer
  readonly state: WebRTCPeerState
  readonly status: BehaviorSubject<ReplicaLinkStatus>
  readonly errors: Subject<DropInError>
}

/** Follows the links of one collection into `states$`. */
export function followPeers(
  handle: RxdbHandle,
  states$: BehaviorSubject<PeerStates>,
): { stop(): void; tellError(session: string, error: DropInError): void } {
  const tracked = new Map<string, TrackedPeer>()

  const update = (): void => {
    const links = handle.links.get()
    let changed = false
    for (const [session, status] of links) {
      if (status.phase === "waiting" || status.phase === "incompatible") continue
      const known = tracked.get(session)
      if (known === undefined) {
        tracked.set(session, track(handle, status))
        changed = true
      } else known.status.next(status)
    }
    for (const [session, { status, errors }] of tracked) {
      const phase = links.get(session)?.phase
      if (phase === "reconciling" || phase === "live") continue
      tracked.delete(session)
      status.complete()
      errors.complete()
      changed = true
    }
    if (changed) states$.next(new Map([...tracked.values()].map(({ peer, state }) => [peer, state])))
  }

  const unsubscribe = handle.links.subscribe(update)
  update()
  return {
    stop() {
      unsubscribe()
      for (const { status, errors } of tracked.values()) {
        status.complete()
        errors.complete()
      }
      tracked.clear()
      states$.next(new Map())
    },
    tellError: (session, error) => tracked.get(session)?.errors.next(error),
  }
}

function track(handle: RxdbHandle, first: ReplicaLinkStatus): TrackedPeer {
  const { peer: session, device } = first
  const peer: WebRTCPeer = { session, device }
  const status = new BehaviorSubject(first)
  const errors = new Subject<DropInError>()
  const documents = (direction: DocumentTraffic["direction"]): Observable<WithDeleted<DocumentData>> =>
    handle.traffic$.pipe(
      filter((one) => one.direction === direction && (one.peer === null || one.peer === session)),
      mergeMap((one) => one.documents),
    )
  const until = (reached: (status: ReplicaLinkStatus) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const subscription = status.pipe(filter(reached)).subscribe({
        next: () => {
          resolve()
          queueMicrotask(() => subscription.unsubscribe())
        },
        complete: () => reject(new DropInError("peer", "The peer left before both sides were equal.")),
      })
    })
  const state: WebRTCPeerState = {
    peer,
    peerToken: session,
    replicationState: {
      active$: status.pipe(map(isActive), distinctUntilChanged()),
      error$: errors.asObservable(),
      received$: documents("received"),
      sent$: documents("sent"),
      async awaitInSync() {
        const gone = new AbortController()
        const watching = status.subscribe({
          complete: () => gone.abort(new DropInError("peer", "The peer left before both sides were equal.")),
        })
        try {
          // What the status says may be older than the latest write.
          await handle.synced({ session, signal: gone.signal })
          await until((one) => !isActive(one))
          return true
        } catch (cause) {
          gone.signal.throwIfAborted()
          if (cause instanceof DropInError) throw cause
          throw new DropInError("peer", `The sides did not become equal: ${String(cause)}`, { cause })
        } finally {
          watching.unsubscribe()
        }
      },
      awaitInitialReplication: () => until((one) => one.lastSyncedAt !== undefined || !isActive(one)),
    },
  }
  return { peer, state, status, errors }
}

function isActive({ phase, pendingIn, pendingOut }: ReplicaLinkStatus): boolean {
  return phase !== "live" || pendingIn > 0 || pendingOut > 0
}
