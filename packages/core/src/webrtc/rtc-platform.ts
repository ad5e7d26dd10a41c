import { TransportError } from "../ports/transport.ts"

/** A W3C-shaped implementation for runtimes without one, such as the module `node-datachannel/polyfill`. */
export interface WebRtcImplementation {
  /** Loosely typed: the types of implementations differ from the DOM's in places that nobody uses. */
  readonly RTCPeerConnection: new (...configuration: never[]) => object
}

/** What differs between implementations, in one place. */
export interface RtcPlatform {
  create(configuration: RTCConfiguration): RTCPeerConnection
  /** Makes the first connection quick: a browser starts its WebRTC stack with the first one of a page, which takes its time. */
  warmUp(): void
  /** False where only a new connection mends a broken one. */
  readonly canRestartIce: boolean
  /** libdatachannel answers a DTLS hello that comes too early only after a second; see `holdMs`. */
  readonly needsHold: boolean
}

export function findRtcPlatform(given: WebRtcImplementation | undefined): RtcPlatform {
  const { RTCPeerConnection: Connection } = (given ?? globalThis) as {
    RTCPeerConnection?: new (configuration: RTCConfiguration) => RTCPeerConnection
  }
  if (Connection === undefined) {
    throw new TransportError(
      "no-webrtc",
      "This runtime has no WebRTC. In a browser, open the room in a page, not in a worker. In Node, install `node-datachannel` and pass `node-datachannel/polyfill` as webrtc({ wrtc }).",
    )
  }
  const isLibDataChannel = "selectedCandidatePair" in Connection.prototype
  return {
    create: (configuration) =>
      new Connection(isLibDataChannel ? forLibDataChannel(configuration) : configuration),
    warmUp() {
      if (isLibDataChannel) return
      try {
        new Connection({}).close()
      } catch {
        // Whoever wants a connection will get the same error.
      }
    },
    canRestartIce: !isLibDataChannel,
    needsHold: isLibDataChannel,
  }
}

/** libdatachannel puts its URLs together as `turn:USER:PASS@host`, where a colon in the user name would end it. */
function forLibDataChannel({ iceServers = [], ...rest }: RTCConfiguration): RTCConfiguration {
  return {
    ...rest,
    iceServers: iceServers.map(({ username, credential, ...server }) =>
      username === undefined || credential === undefined
        ? server
        : {
            ...server,
            username: encodeURIComponent(username),
            credential: encodeURIComponent(credential),
          },
    ),
  }
}
