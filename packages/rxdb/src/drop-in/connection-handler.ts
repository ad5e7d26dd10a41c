import type { Observable } from "rxjs"

/** A message of RxDB's WebRTC interface. Dunlin uses its envelope and none of its methods. */
export interface ConnectionMessage {
  readonly id: string
  readonly method: string
  readonly params: readonly unknown[]
}

/** A message with the peer it came from. */
export interface PeerWithMessage<PeerType> {
  readonly peer: PeerType
  readonly message: ConnectionMessage
}

/** An answer with the peer it came from. Dunlin asks nothing, and so expects none. */
export interface PeerWithResponse<PeerType> {
  readonly peer: PeerType
  readonly response: unknown
}

/** RxDB's connection handler: any implementation of it, RxDB's own included, serves as a transport. */
export interface WebRTCConnectionHandler<PeerType> {
  readonly connect$: Observable<PeerType>
  readonly disconnect$: Observable<PeerType>
  readonly message$: Observable<PeerWithMessage<PeerType>>
  readonly response$: Observable<PeerWithResponse<PeerType>>
  readonly error$: Observable<Error>
  send(peer: PeerType, message: never): Promise<void>
  close(): Promise<void>
}

/** Makes the connections of one pool; gets the options of `replicateWebRTC`. */
export type WebRTCConnectionHandlerCreator<PeerType = unknown> = (
  options: never,
) => Promise<WebRTCConnectionHandler<PeerType>>

/** The name RxDB used before version 15. */
export type P2PConnectionHandler<PeerType> = WebRTCConnectionHandler<PeerType>
/** The name RxDB used before version 15. */
export type P2PConnectionHandlerCreator<PeerType = unknown> = WebRTCConnectionHandlerCreator<PeerType>
