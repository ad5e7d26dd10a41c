import type { Diagnostic, Identity } from "@dunlin/core"
import type {
  MaybePromise,
  ReplicationOptions,
  ReplicationPullOptions,
  ReplicationPushOptions,
  RxCollection,
  RxStorageDefaultCheckpoint,
} from "rxdb"
import { noCollection } from "../given-collection.ts"
import type { RxdbReplicaOptions } from "../rxdb-replica.ts"
import type { WebRTCConnectionHandlerCreator } from "./connection-handler.ts"
import { DropInError } from "./drop-in-error.ts"

/** The checkpoint from which RxDB's replication continues. Dunlin compares what peers hold, and has none. */
export type WebRTCReplicationCheckpoint = RxStorageDefaultCheckpoint

/** `modifier` works here too; `batchSize` is accepted and ignored; `initialCheckpoint` is refused. */
export type WebRTCSyncPullOptions<RxDocType> = Omit<
  ReplicationPullOptions<RxDocType, WebRTCReplicationCheckpoint>,
  "handler" | "stream$"
>

/** `modifier` works here too; `batchSize`, `waitBeforePersist` are ignored, and `initialCheckpoint` is refused. */
export type WebRTCSyncPushOptions<RxDocType> = Omit<ReplicationPushOptions<RxDocType>, "handler">

/**
 * RxDB's options, and a few more. Accepted and ignored: `retryTime`, `requestTimeout`, `autoStart`,
 * `toggleOnDocumentVisible`, `waitForLeadership`. The protocol sets deadlines, and replication begins with the call.
 */
export interface SyncOptionsWebRTC<RxDocType, PeerType> extends Pick<
  ReplicationOptions<RxDocType, WebRTCReplicationCheckpoint>,
  "retryTime" | "autoStart" | "toggleOnDocumentVisible" | "waitForLeadership" | "live"
> {
  collection: RxCollection<RxDocType>
  /** Whoever has the topic (and the `secret`, if there is one) is a member. */
  topic: string
  /** `getConnectionHandlerSimplePeer(…)` of this package, or any connection handler of RxDB's interface. */
  connectionHandlerCreator: WebRTCConnectionHandlerCreator<PeerType>
  /**
   * With Dunlin's own connections the peer is authenticated; with another handler it is that handler's peer. A verdict
   * on a device holds for a minute, even when the device comes back under another session.
   */
  isPeerValid?: (peer: PeerType) => MaybePromise<boolean>
  requestTimeout?: number
  /** Without `pull` nothing is received, without `push` nothing is sent; the same on every side. */
  pull?: WebRTCSyncPullOptions<RxDocType>
  push?: WebRTCSyncPushOptions<RxDocType>
  /** A secret of the room's own, instead of the topic. */
  readonly secret?: string | undefined
  /** Whose key this device proves; by default, the device keeps one of its own. */
  readonly identity?: Identity | undefined
  /** What the room notices, for logs. */
  readonly onDiagnostic?: ((diagnostic: Diagnostic) => void) | undefined
}

/** Throws `DropInError` "invalid-option" for what is missing, and for RxDB features that no peer can follow. */
export function assertSupported<RxDocType, PeerType>(options: SyncOptionsWebRTC<RxDocType, PeerType>): void {
  const complaint = complaintOf(options)
  if (complaint !== null) throw new DropInError("invalid-option", complaint)
}

function complaintOf<RxDocType, PeerType>(given: SyncOptionsWebRTC<RxDocType, PeerType>): string | null {
  // Plain JavaScript calls it too.
  const { collection, topic, connectionHandlerCreator, live, pull, push } = (given ?? {}) as Partial<
    SyncOptionsWebRTC<RxDocType, PeerType>
  >
  const wrong = noCollection(collection)
  if (wrong !== null) return `replicateWebRTC({ collection }): ${wrong}`
  if (live === false)
    return "live: false is not supported: between peers there is no server to be done with. Use awaitInSync() and cancel()."
  if (typeof topic !== "string" || topic === "") return "A replication needs a topic."
  if (typeof connectionHandlerCreator !== "function")
    return "connectionHandlerCreator is missing: pass getConnectionHandlerSimplePeer({ signalingServerUrl })."
  if (pull === undefined && push === undefined)
    return "Pass pull: {}, push: {} or both: nothing else would be replicated."
  for (const [name, one] of Object.entries({ pull, push }))
    if (one !== undefined && one.initialCheckpoint !== undefined)
      return `${name}.initialCheckpoint is not possible among peers, who compare what they hold. Leave it out; push.modifier keeps documents on this device.`
  return null
}

/** What the options mean to a replica. */
export function replicaOptionsOf<RxDocType, PeerType>({
  pull,
  push,
}: SyncOptionsWebRTC<RxDocType, PeerType>): RxdbReplicaOptions<RxDocType> {
  return {
    direction: pull === undefined ? "send-only" : push === undefined ? "receive-only" : "both",
    ...(push?.modifier === undefined ? {} : { push: { modifier: push.modifier } }),
    ...(pull?.modifier === undefined ? {} : { pull: { modifier: pull.modifier } }),
  }
}
