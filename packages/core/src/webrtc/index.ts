export { webrtc, type WebRtcOptions } from "./webrtc.ts"
export type { WebRtcImplementation } from "./rtc-platform.ts"
export type { WebSocketConstructor, WebSocketLike } from "./web-socket.ts"
