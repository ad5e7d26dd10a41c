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
export {
  replicateWebRTC,
  type ReplicateWebRtcOptions,
  type WebRTCReplicationPool,
} from "./drop-in/replicate-webrtc.ts"
export type {
  ConnectionMessage,
  P2PConnectionHandler,
  P2PConnectionHandlerCreator,
  PeerWithMessage,
  PeerWithResponse,
  WebRTCConnectionHandler,
  WebRTCConnectionHandlerCreator,
} from "./drop-in/connection-handler.ts"
export { DropInError, type DropInErrorCode } from "./drop-in/drop-in-error.ts"
export type { PeerReplicationState, PeerStates, WebRTCPeer, WebRTCPeerState } from "./drop-in/peer-states.ts"
export {
  getConnectionHandlerSimplePeer,
  type SimplePeerConnectionHandlerOptions,
} from "./drop-in/simple-peer-handler.ts"
export {
  DunlinWebRTCPlugin,
  type SyncWebRtcOptions,
  type WithSyncWebRTC,
} from "./drop-in/sync-webrtc-plugin.ts"
export * from "./drop-in/unsupported.ts"
