/**
 * RxDB collections as replicas, and RxDB's WebRTC replication as a drop-in.
 *
 * @module @dunlin/rxdb
 */
export { rxdbReplica, type RxdbHandle, type RxdbReplicaOptions } from "./rxdb-replica.ts"
export type { AttachmentProgress } from "./attachment-shelf.ts"
export { mergeFields } from "./merge-policy.ts"
export type { ConflictingWrite, ResolvedConflict } from "./conflict-log.ts"
export type { DocumentTraffic } from "./document-traffic.ts"
export type { DocumentData } from "./document-shape.ts"
export type { Modifier } from "./modifiers.ts"
export { replicateWebRTC } from "./drop-in/replicate-webrtc.ts"
export { RxWebRTCReplicationPool } from "./drop-in/replication-pool.ts"
export type {
  SyncOptionsWebRTC,
  WebRTCReplicationCheckpoint,
  WebRTCSyncPullOptions,
  WebRTCSyncPushOptions,
} from "./drop-in/sync-options.ts"
export type {
  P2PConnectionHandler,
  P2PConnectionHandlerCreator,
  PeerWithMessage,
  PeerWithResponse,
  WebRTCConnectionHandler,
  WebRTCConnectionHandlerCreator,
  WebRTCMessage,
  WebRTCResponse,
} from "./drop-in/connection-handler.ts"
export { DropInError, type DropInErrorCode, PoolError } from "./drop-in/drop-in-error.ts"
export type { PeerStates, RxWebRTCReplicationState, WebRTCPeerState } from "./drop-in/peer-states.ts"
export type { SimplePeer } from "./drop-in/simple-peer.ts"
export {
  getConnectionHandlerSimplePeer,
  type SimplePeerConfig,
  type SimplePeerConnectionHandlerOptions,
  type SimplePeerWebSocketConstructor,
  type SimplePeerWrtc,
} from "./drop-in/simple-peer-handler.ts"
export {
  DunlinWebRTCPlugin,
  type CollectionSyncOptionsWebRTC,
  type WithSyncWebRTC,
} from "./drop-in/sync-webrtc-plugin.ts"
export * from "./drop-in/unsupported.ts"
