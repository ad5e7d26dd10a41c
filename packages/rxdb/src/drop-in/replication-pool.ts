import type { RxCollection, RxReplicationHandler } from "rxdb"
import type { BehaviorSubject, Observable, Subscription } from "rxjs"
import type { RxdbHandle } from "../rxdb-replica.ts"
import type { WebRTCConnectionHandler } from "./connection-handler.ts"
import { DropInError, type PoolError } from "./drop-in-error.ts"
import type { PeerStates, RxWebRTCReplicationState } from "./peer-states.ts"
import { refuseMembers } from "./refused-members.ts"
import type { SimplePeer } from "./simple-peer.ts"
import type { SyncOptionsWebRTC, WebRTCReplicationCheckpoint } from "./sync-options.ts"

/** RxDB's pool of peers for one collection. */
export interface RxWebRTCReplicationPool<RxDocType, PeerType>
  extends AsyncDisposable, RefusedPoolMembers<RxDocType, PeerType> {
  readonly collection: RxCollection<RxDocType>
  readonly options: SyncOptionsWebRTC<RxDocType, PeerType>
  /** The peers that share the collection now; a new map each time. The keys are Dunlin's, whatever connects them. */
  readonly peerStates$: BehaviorSubject<PeerStates<RxDocType>>
  /** Problems that ended nothing: a document that was refused, a server that cannot be reached. */
  readonly error$: Observable<PoolError>
  readonly canceled: boolean
  /** What is put here is unsubscribed when the pool is canceled. */
  readonly subs: Subscription[]
  /** The keys of `peerStates$`. */
  readonly connectedPeers: Set<SimplePeer>
  /** The collection in its room; null in a tab while another tab replicates. */
  handle(): RxdbHandle<RxDocType> | null
  /** What `options.isPeerValid` says, or has just said, of this peer; true without that option. */
  isPeerValid(peer: PeerType): Promise<boolean>
  /** Whether this is a key of `peerStates$`. */
  isPeerConnected(peer: SimplePeer): boolean
  /** Resolves with the peers as soon as there is one; rejects when the pool is canceled, or with the signal's reason. */
  awaitFirstPeer(options?: { readonly signal?: AbortSignal | undefined }): Promise<PeerStates<RxDocType>>
  /** Ends the replication, even while it starts, and the connections that no other pool uses. Idempotent. */
  cancel(): Promise<void>
}

/** Reading one of these throws `DropInError` "unsupported", naming what to do instead. */
interface RefusedPoolMembers<RxDocType, PeerType> {
  readonly masterReplicationHandler: RxReplicationHandler<RxDocType, WebRTCReplicationCheckpoint>
  readonly connectionHandler: WebRTCConnectionHandler<PeerType>
  readonly peerValidity: Map<PeerType, Promise<boolean>>
  readonly addPeer: (
    peer: PeerType,
    peerToken: string,
    replicationState?: RxWebRTCReplicationState<RxDocType>,
    subs?: Subscription[],
  ) => void
  readonly removePeer: (peer: PeerType) => Promise<void>
}

const INSTEAD: Readonly<Record<keyof RefusedPoolMembers<unknown, unknown>, string>> = {
  masterReplicationHandler: "there is no master: every peer merges alike",
  connectionHandler: "pools share their connections; peerStates$ tells who is there",
  peerValidity: "ask isPeerValid(peer)",
  addPeer: "peers come by themselves",
  removePeer: "keep a peer out with isPeerValid, or cancel the pool",
}

/** `pool instanceof RxWebRTCReplicationPool` holds; `new` throws `DropInError` "unsupported": a pool comes from `replicateWebRTC()`. */
export const RxWebRTCReplicationPool: {
  new <RxDocType, PeerType>(
    collection: RxCollection<RxDocType>,
    options: SyncOptionsWebRTC<RxDocType, PeerType>,
    connectionHandler: WebRTCConnectionHandler<PeerType>,
  ): RxWebRTCReplicationPool<RxDocType, PeerType>
  readonly prototype: object
} = function RxWebRTCReplicationPool(): never {
  throw new DropInError(
    "unsupported",
    "A RxWebRTCReplicationPool of @dunlin/rxdb is not made with new: call replicateWebRTC(), which resolves to one.",
  )
} as never

/** Makes a pool from its supported members. */
export function replicationPool<RxDocType, PeerType>(
  members: Omit<RxWebRTCReplicationPool<RxDocType, PeerType>, keyof RefusedPoolMembers<RxDocType, PeerType>>,
): RxWebRTCReplicationPool<RxDocType, PeerType> {
  Object.setPrototypeOf(members, RxWebRTCReplicationPool.prototype)
  refuseMembers(members, "RxWebRTCReplicationPool", INSTEAD)
  return members as RxWebRTCReplicationPool<RxDocType, PeerType>
}
