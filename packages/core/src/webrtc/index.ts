/**
 * The WebRTC transport, for pages and for Node.
 *
 * @module @dunlin/core/webrtc
 */
export { webrtc, type WebRtcOptions } from "./webrtc.ts"
export type { WebRtcImplementation } from "./rtc-platform.ts"
export type { WebSocketConstructor, WebSocketLike } from "./web-socket.ts"
