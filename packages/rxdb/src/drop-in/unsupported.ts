import type { HashFunction } from "rxdb"
import type { WebRtcImplementation } from "@dunlin/core/webrtc"
import type {
  WebRTCConnectionHandler,
  WebRTCConnectionHandlerCreator,
  WebRTCMessage,
  WebRTCResponse,
} from "./connection-handler.ts"
import { DropInError } from "./drop-in-error.ts"
import type { SimplePeer } from "./simple-peer.ts"
import type {
  SimplePeerConfig,
  SimplePeerWebSocketConstructor,
  SimplePeerWrtc,
} from "./simple-peer-handler.ts"

// Exports of RxDB's plugin that people import but that are elsewhere, or have no meaning, here: imports go through, and
// calls say what to do instead.

/** Throws `DropInError` "unsupported": a page should not bundle a server. `@dunlin/host` has it under this name. */
export const startSignalingServerSimplePeer: (options?: {
  port?: number
  host?: string
}) => Promise<StartedSignalingServer> = instead(
  "startSignalingServerSimplePeer",
  'import it from "@dunlin/host"',
)

/** What RxDB's function resolves to; nothing here does. */
export interface StartedSignalingServer {
  port: number | undefined
  server: { close(done?: (error?: Error) => void): void }
  localUrl: string
}

/** Throws `DropInError` "unsupported": there is no master, every peer merges alike. */
export const isMasterInWebRTCReplication: (
  hashFunction: HashFunction,
  ownStorageToken: string,
  otherStorageToken: string,
) => Promise<boolean> = instead("isMasterInWebRTCReplication", "there is no master: every peer merges alike")

/** Throws `DropInError` "unsupported": an application's own messages go by `room.presence`, or a transport. */
export const sendMessageAndAwaitAnswer: <PeerType>(
  handler: WebRTCConnectionHandler<PeerType>,
  peer: PeerType,
  message: WebRTCMessage,
  timeout?: number,
) => Promise<WebRTCResponse> = instead(
  "sendMessageAndAwaitAnswer",
  "use room.presence of @dunlin/core, or a transport of your own",
)

/** RxDB's options for signaling over Nostr. */
export interface NostrConnectionHandlerOptions {
  relays: string[]
  secretKey?: Uint8Array
  eventKind?: number
  wrtc?: SimplePeerWrtc
  config?: SimplePeerConfig
  webSocketConstructor?: SimplePeerWebSocketConstructor
}

/** Throws `DropInError` "unsupported": pass the one of RxDB's plugin as `connectionHandlerCreator`. */
export const getConnectionHandlerNostr: (
  options: NostrConnectionHandlerOptions,
) => WebRTCConnectionHandlerCreator<SimplePeer> = instead(
  "getConnectionHandlerNostr",
  "pass the creator of RxDB's plugin as connectionHandlerCreator",
)

/** Throws `DropInError` "unsupported": `peer.device` is a key that the peer has proved. */
export const getNostrPublicKeyOfPeer: (peer: SimplePeer) => string = instead(
  "getNostrPublicKeyOfPeer",
  "peer.device is a key that the peer has proved",
)

/** Nothing to polyfill: no code of simple-peer runs. */
export function ensureProcessNextTickIsSet(): void {}

/** Dunlin takes the module as it is. */
export function createSimplePeerWrtc<T extends WebRtcImplementation>(polyfill: T): T {
  return polyfill
}

/** Empty: there is no public server, and `getConnectionHandlerSimplePeer` says so. */
export const DEFAULT_SIGNALING_SERVER = ""

// RxDB's numbers, for programs that calculate with them. Nothing here uses them.
export const WEBRTC_DEFAULT_REQUEST_TIMEOUT = 20_000
export const PEER_ID_LENGTH = 12
export const SIMPLE_PEER_PING_INTERVAL = 120_000
export const SIMPLE_PEER_CONNECT_TIMEOUT = 15_000
export const SIMPLE_PEER_RECONNECT_DELAY_MIN = 500
export const SIMPLE_PEER_RECONNECT_DELAY_MAX = 15_000
export const SIMPLE_PEER_MAX_MESSAGE_LENGTH = 16_384
export const NOSTR_SIGNALING_DEFAULT_EVENT_KIND = 25_050
export const NOSTR_PRESENCE_INTERVAL = 10_000
export const NOSTR_PRESENCE_TIMEOUT = 35_000
export const NOSTR_MAX_EVENT_AGE = 120_000
export const NOSTR_SIGNAL_BATCH_TIME = 200

// The messages of RxDB's signaling server, which nothing here speaks.
export type SimplePeerInitMessage = { type: "init"; yourPeerId: string }
export type SimplePeerJoinMessage = { type: "join"; room: string }
export type SimplePeerJoinedMessage = { type: "joined"; otherPeerIds: string[] }
export type SimplePeerSignalMessage = {
  type: "signal"
  room: string
  senderPeerId: string
  receiverPeerId: string
  data: unknown
  connectionId?: string
}
export type SimplePeerPingMessage = { type: "ping" }
export type PeerMessage =
  | SimplePeerInitMessage
  | SimplePeerJoinMessage
  | SimplePeerJoinedMessage
  | SimplePeerSignalMessage
  | SimplePeerPingMessage
export type ServerPeer = { id: string; socket: object; rooms: Set<string>; lastPing: number }

function instead(name: string, replacement: string): () => never {
  return function unsupported(): never {
    throw new DropInError("unsupported", `${name} is not part of @dunlin/rxdb: ${replacement}.`)
  }
}
