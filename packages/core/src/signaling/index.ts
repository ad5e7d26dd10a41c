/**
 * The messages that a signaling host and its clients exchange, for those who write another host.
 *
 * @module @dunlin/core/signaling
 */
export * from "./signaling-message.ts"
export { decodeClientMessage, encodeClientMessage } from "./client-message-codec.ts"
export {
  decodeHostMessage,
  encodeHostMessage,
  SIGNAL_HEAD_BYTES,
  writeSignalHead,
} from "./host-message-codec.ts"
export { DecodeError, type DecodeErrorCode } from "../protocol/decode-error.ts"
