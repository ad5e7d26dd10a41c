import { requireWs } from "#ws"
import { TransportError } from "../ports/transport.ts"

/** The part of the W3C WebSocket that signaling uses; browsers, Node ≥ 22 and `ws` have it. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  readonly bufferedAmount: number
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  /** Of `ws`, which holds the process for half a minute where a server does not answer `close`. */
  terminate?(): void
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
}

/** The class, such as `WebSocket` of a browser or of the package `ws`. */
export type WebSocketConstructor = new (url: string, protocols?: string | string[]) => WebSocketLike

/** The one passed in, the platform's, or the `ws` package of a Node that has none of its own. */
export function findWebSocket(given: WebSocketConstructor | undefined): WebSocketConstructor {
  if (given !== undefined) return given
  const { WebSocket: own } = globalThis as { WebSocket?: WebSocketConstructor }
  if (own !== undefined) return own
  let cause: unknown
  try {
    const found = requireWs()
    if (found !== null) return found
  } catch (error) {
    cause = error
  }
  throw new TransportError(
    "no-websocket",
    "This runtime has no WebSocket. Install the package `ws`, or pass a constructor: webrtc({ webSocket }).",
    { cause },
  )
}
