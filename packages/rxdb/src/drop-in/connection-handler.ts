import type { PlainJsonError, RxError, RxTypeError } from "rxdb"
import type { Observable } from "rxjs"
import type { SyncOptionsWebRTC } from "./sync-options.ts"

/** A message of RxDB's WebRTC interface. Dunlin uses its envelope and one of its methods. */
export interface WebRTCMessage {
  id: string
  method: "masterChangesSince" | "masterChangeStream$" | "masterWrite" | "token"
  params: unknown[]
}

/** An answer to a message. Dunlin asks nothing, and so expects none. */
export interface WebRTCResponse {
  id: string
  result: unknown
  error?: PlainJsonError
}

/** A message with the peer it came from. */
export interface PeerWithMessage<PeerType> {
  peer: PeerType
  message: WebRTCMessage
}

/** An answer with the peer it came from. */
export interface PeerWithResponse<PeerType> {
  peer: PeerType
  response: WebRTCResponse
}

/** RxDB's connection handler: any implementation of it, RxDB's own included, serves as a transport. */
export interface WebRTCConnectionHandler<PeerType> {
  connect$: Observable<PeerType>
  disconnect$: Observable<PeerType>
  message$: Observable<PeerWithMessage<PeerType>>
  response$: Observable<PeerWithResponse<PeerType>>
  error$: Observable<RxError | RxTypeError>
  send(peer: PeerType, message: WebRTCMessage | WebRTCResponse): Promise<void>
  close(): Promise<void>
}

/** Makes the connections of one pool; gets the options of `replicateWebRTC`. */
export type WebRTCConnectionHandlerCreator<PeerType> = (
  options: SyncOptionsWebRTC<unknown, PeerType>,
) => Promise<WebRTCConnectionHandler<PeerType>>

/** The name RxDB used before version 15. */
export type P2PConnectionHandler<PeerType> = WebRTCConnectionHandler<PeerType>
/** The name RxDB used before version 15. */
export type P2PConnectionHandlerCreator<PeerType> = WebRTCConnectionHandlerCreator<PeerType>
