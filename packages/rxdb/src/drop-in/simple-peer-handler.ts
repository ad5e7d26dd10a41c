import type { WebRtcImplementation, WebRtcOptions, WebSocketConstructor } from "@dunlin/core/webrtc"
import type { WebRTCConnectionHandlerCreator } from "./connection-handler.ts"
import { DropInError } from "./drop-in-error.ts"

/** RxDB's options for its simple-peer handler, each with Dunlin's meaning. */
export interface SimplePeerConnectionHandlerOptions {
  /** Of a `@dunlin/host`. There is no public default. */
  readonly signalingServerUrl: string
  /** In Node: the module `node-datachannel/polyfill`. */
  readonly wrtc?: WebRtcImplementation
  /** STUN and TURN servers. */
  readonly config?: { readonly iceServers?: readonly RTCIceServer[] }
  /** Where the runtime has no `WebSocket`, or another is wanted. */
  readonly webSocketConstructor?: WebSocketConstructor
}

const WEBRTC_OPTIONS = Symbol.for("dunlin.rxdb.webrtc-options")

/** Dunlin's own WebRTC under the name that RxDB's examples use. No code of simple-peer runs. */
export function getConnectionHandlerSimplePeer(
  url: string,
  wrtc?: WebRtcImplementation,
): WebRTCConnectionHandlerCreator
export function getConnectionHandlerSimplePeer(
  options: SimplePeerConnectionHandlerOptions,
): WebRTCConnectionHandlerCreator
export function getConnectionHandlerSimplePeer(
  given: string | SimplePeerConnectionHandlerOptions,
  wrtc?: WebRtcImplementation,
): WebRTCConnectionHandlerCreator {
  const options: SimplePeerConnectionHandlerOptions =
    typeof given === "string" ? { signalingServerUrl: given, ...(wrtc === undefined ? {} : { wrtc }) } : given
  if (typeof options?.signalingServerUrl !== "string")
    throw new DropInError(
      "invalid-option",
      "There is no default signaling server. Run `npx @dunlin/host` and pass its URL as signalingServerUrl.",
    )
  const { signalingServerUrl, config, webSocketConstructor } = options
  const webrtcOptions: WebRtcOptions = {
    signaling: signalingServerUrl,
    ...(options.wrtc === undefined ? {} : { wrtc: options.wrtc }),
    ...(webSocketConstructor === undefined ? {} : { webSocket: webSocketConstructor }),
    ...(config?.iceServers === undefined ? {} : { iceServers: config.iceServers }),
  }
  const creator: WebRTCConnectionHandlerCreator = () =>
    Promise.reject(
      new DropInError(
        "unsupported",
        "This connection handler works with replicateWebRTC of @dunlin/rxdb alone.",
      ),
    )
  return Object.assign(creator, { [WEBRTC_OPTIONS]: webrtcOptions })
}

/** The options behind a creator of this package; null for any other creator. */
export function webrtcOptionsOf(creator: WebRTCConnectionHandlerCreator<never>): WebRtcOptions | null {
  return (creator as { readonly [WEBRTC_OPTIONS]?: WebRtcOptions })[WEBRTC_OPTIONS] ?? null
}
