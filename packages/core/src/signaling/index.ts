export * from "./signaling-message.ts"
export { decodeClientMessage, encodeClientMessage } from "./client-message-codec.ts"
export {
  decodeHostMessage,
  encodeHostMessage,
  SIGNAL_HEAD_BYTES,
  writeSignalHead,
} from "./host-message-codec.ts"
export { DecodeError, type DecodeErrorCode } from "../protocol/decode-error.ts"
