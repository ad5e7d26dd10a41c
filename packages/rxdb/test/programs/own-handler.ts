// A program with its own connections, and one that uses names that few programs use. Compiled like todo-sync.ts.
import type { RxCollection, RxError } from "rxdb/plugins/core"
import {
  createSimplePeerWrtc,
  DEFAULT_SIGNALING_SERVER,
  getConnectionHandlerNostr,
  getConnectionHandlerSimplePeer,
  getNostrPublicKeyOfPeer,
  isMasterInWebRTCReplication,
  type NostrConnectionHandlerOptions,
  type PeerMessage,
  type PeerWithMessage,
  type PeerWithResponse,
  replicateWebRTC,
  type RxWebRTCReplicationPool,
  sendMessageAndAwaitAnswer,
  SIMPLE_PEER_CONNECT_TIMEOUT,
  type SimplePeer,
  type SimplePeerConfig,
  type SimplePeerWebSocketConstructor,
  type SimplePeerWrtc,
  startSignalingServerSimplePeer,
  WEBRTC_DEFAULT_REQUEST_TIMEOUT,
  type WebRTCConnectionHandler,
  type WebRTCConnectionHandlerCreator,
  type WebRTCMessage,
  type WebRTCResponse,
} from "rxdb/plugins/replication-webrtc"
import { Subject } from "rxjs"

interface Note {
  id: string
  text: string
}

/** A connection of the application's own. */
export interface Wire {
  readonly name: string
  onMessage(listener: (text: string) => void): void
  send(text: string): Promise<void>
}

function overWires(wires: readonly Wire[]): WebRTCConnectionHandlerCreator<Wire> {
  return async ({ topic, collection, requestTimeout = WEBRTC_DEFAULT_REQUEST_TIMEOUT }) => {
    const connect$ = new Subject<Wire>()
    const message$ = new Subject<PeerWithMessage<Wire>>()
    const response$ = new Subject<PeerWithResponse<Wire>>()
    const handler: WebRTCConnectionHandler<Wire> = {
      connect$,
      disconnect$: new Subject<Wire>(),
      message$,
      response$,
      error$: new Subject<RxError>(),
      async send(peer: Wire, message: WebRTCMessage | WebRTCResponse) {
        await peer.send(JSON.stringify({ topic, requestTimeout, name: collection.name, message }))
      },
      close: () => Promise.resolve(),
    }
    for (const peer of wires) {
      peer.onMessage((text) => {
        const data = JSON.parse(text) as WebRTCMessage | WebRTCResponse
        if ("method" in data) message$.next({ peer, message: data })
        else response$.next({ peer, response: data })
      })
      queueMicrotask(() => connect$.next(peer))
    }
    return handler
  }
}

export function shareNotes(
  notes: RxCollection<Note>,
  wires: readonly Wire[],
): Promise<RxWebRTCReplicationPool<Note, Wire>> {
  return replicateWebRTC<Note, Wire>({
    collection: notes,
    topic: "notes",
    connectionHandlerCreator: overWires(wires),
    isPeerValid: (wire) => wire.name !== "bad",
    pull: {},
  })
}

export async function rarely(options: NostrConnectionHandlerOptions, polyfill: never): Promise<number> {
  const wrtc: SimplePeerWrtc = createSimplePeerWrtc(polyfill)
  const config: SimplePeerConfig = { iceServers: [] }
  const webSocketConstructor: SimplePeerWebSocketConstructor = WebSocket
  getConnectionHandlerSimplePeer({
    signalingServerUrl: DEFAULT_SIGNALING_SERVER,
    wrtc,
    config,
    webSocketConstructor,
  })
  const overNostr = getConnectionHandlerNostr({ ...options, relays: ["wss://relay.example.org"] })
  const { localUrl, port, server } = await startSignalingServerSimplePeer({ port: 8080 })
  server.close()
  const isMaster: boolean = await isMasterInWebRTCReplication(
    (text) => Promise.resolve(String(text)),
    "a",
    "b",
  )
  const ping: PeerMessage = { type: "ping" }
  return [localUrl, port, isMaster, ping, overNostr].length + SIMPLE_PEER_CONNECT_TIMEOUT
}

export async function tokenOf<Peer>(handler: WebRTCConnectionHandler<Peer>, peer: Peer): Promise<string> {
  const answer = await sendMessageAndAwaitAnswer(handler, peer, { id: "1", method: "token", params: [] }, 100)
  return String(answer.result)
}

export const keyOf: (peer: SimplePeer) => string = getNostrPublicKeyOfPeer
