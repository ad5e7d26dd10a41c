import { type Transport, TransportError } from "@dunlin/core"
import {
  webrtc,
  type WebRtcImplementation,
  type WebRtcOptions,
  type WebSocketConstructor,
} from "@dunlin/core/webrtc"
import type { WebRTCConnectionHandlerCreator } from "./connection-handler.ts"
import { DropInError } from "./drop-in-error.ts"
import type { SimplePeer } from "./simple-peer.ts"

/** The module `node-datachannel/polyfill`, in Node. */
export type SimplePeerWrtc = WebRtcImplementation | undefined
/** Only `iceServers` and `iceTransportPolicy` are used; Dunlin sets the rest of a connection's configuration. */
export type SimplePeerConfig = RTCConfiguration | undefined
/** The class `WebSocket` of the package `ws`, or a compatible one. */
export type SimplePeerWebSocketConstructor = WebSocketConstructor

/** RxDB's options for its simple-peer handler, each with Dunlin's meaning. */
export interface SimplePeerConnectionHandlerOptions {
  /** URL of a `@dunlin/host`. There is no public default: without it, this throws `DropInError` "invalid-option". */
  signalingServerUrl?: string
  /** In Node: the module `node-datachannel/polyfill`. */
  wrtc?: SimplePeerWrtc
  /** STUN and TURN servers; `iceTransportPolicy: "relay"` hides this device's addresses from peers. */
  config?: SimplePeerConfig
  /** For runtimes that have no `WebSocket`, or to use another one. */
  webSocketConstructor?: SimplePeerWebSocketConstructor
}

const WEBRTC_OPTIONS = Symbol.for("dunlin.rxdb.webrtc-options")

/** Dunlin's own WebRTC under the name that RxDB's examples use. No code of simple-peer runs. */
export function getConnectionHandlerSimplePeer(
  url: string,
  wrtc?: WebRtcImplementation,
): WebRTCConnectionHandlerCreator<SimplePeer>
export function getConnectionHandlerSimplePeer(
  options: SimplePeerConnectionHandlerOptions,
): WebRTCConnectionHandlerCreator<SimplePeer>
export function getConnectionHandlerSimplePeer(
  given: string | SimplePeerConnectionHandlerOptions,
  wrtc?: WebRtcImplementation,
): WebRTCConnectionHandlerCreator<SimplePeer> {
  const options: SimplePeerConnectionHandlerOptions =
    typeof given === "string" ? { signalingServerUrl: given, ...(wrtc === undefined ? {} : { wrtc }) } : given
  const { signalingServerUrl, config, webSocketConstructor } = options ?? {}
  // `DEFAULT_SIGNALING_SERVER` is an empty one.
  if (typeof signalingServerUrl !== "string" || signalingServerUrl === "")
    throw new DropInError(
      "invalid-option",
      "There is no default signaling server. Run `npx @dunlin/host` and pass its URL as signalingServerUrl.",
    )
  const webrtcOptions: WebRtcOptions = {
    signaling: signalingServerUrl,
    ...(options.wrtc === undefined ? {} : { wrtc: options.wrtc }),
    ...(webSocketConstructor === undefined ? {} : { webSocket: webSocketConstructor }),
    ...(config?.iceServers === undefined ? {} : { iceServers: config.iceServers }),
    ...(config?.iceTransportPolicy === "relay" ? { privacy: "relay" as const } : {}),
  }
  const creator: WebRTCConnectionHandlerCreator<SimplePeer> = () =>
    Promise.reject(
      new DropInError(
        "unsupported",
        "This connection handler works with replicateWebRTC of @dunlin/rxdb alone.",
      ),
    )
  return Object.assign(creator, { [WEBRTC_OPTIONS]: webrtcOptions })
}

/** The options behind a creator of this package; null for any other creator. */
export function webrtcOptionsOf(creator: object): WebRtcOptions | null {
  return (creator as { readonly [WEBRTC_OPTIONS]?: WebRtcOptions })[WEBRTC_OPTIONS] ?? null
}

/** Dunlin's WebRTC, with errors that name the options of `getConnectionHandlerSimplePeer`. Throws `TransportError`. */
export function simplePeerTransport(options: WebRtcOptions): Transport {
  try {
    return webrtc(options)
  } catch (cause) {
    const message = cause instanceof TransportError ? inOwnWords(cause) : null
    if (message === null) throw cause
    throw new TransportError((cause as TransportError).code, message, { cause })
  }
}

function inOwnWords({ code }: TransportError): string | null {
  if (code === "no-websocket")
    return "This runtime has no WebSocket. Install the package `ws`, or pass a class: getConnectionHandlerSimplePeer({ signalingServerUrl, webSocketConstructor })."
  if (code !== "no-webrtc") return null
  if ("WorkerGlobalScope" in globalThis)
    return "Browsers have no WebRTC in workers. Call replicateWebRTC() in a page: a collection of the same database there replicates what the worker writes."
  return 'This runtime has no WebRTC. Install the package `node-datachannel` and pass it: import * as wrtc from "node-datachannel/polyfill", then getConnectionHandlerSimplePeer({ signalingServerUrl, wrtc }).'
}
