import type { RxErrorParameters } from "rxdb"

/** Why something of the drop-in failed; match this, not the message. */
export type DropInErrorCode =
  /** `replicateWebRTC()` lacks an option, or has one that no peer can follow. */
  | "invalid-option"
  /** The collection has a pool, or is in a room, already. */
  | "in-use"
  /** An export or a member of RxDB's plugin that has no place here, or another one. The message names the replacement. */
  | "unsupported"
  /** A peer left while something waited for it. */
  | "peer"
  /** The pool was canceled while something waited for it. */
  | "canceled"

/** What the drop-in throws and rejects with. */
export class DropInError extends Error {
  override readonly name = "DropInError"
  readonly code: DropInErrorCode

  constructor(code: DropInErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
  }
}

/**
 * What `error$` emits: problems that ended nothing. It has the shape of RxDB's errors and the code that RxDB's WebRTC
 * uses for all of them, so that handlers typed for `RxError` accept it; `reason` is a closed union and says more.
 */
export class PoolError extends Error {
  override readonly name = "PoolError"
  readonly code = "RC_WEBRTC_PEER" as const
  /** "peer": with one peer or document. "transport": with a server or a connection; the pool keeps trying. */
  readonly reason: "peer" | "transport"
  /** What it is about, such as the key of a document. */
  readonly parameters: RxErrorParameters
  readonly rxdb = true as const
  readonly typeError = false as const
  readonly url = "https://rxdb.info/errors.html#RC_WEBRTC_PEER"

  constructor(
    reason: "peer" | "transport",
    message: string,
    options: { readonly cause?: unknown; readonly parameters?: object } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.reason = reason
    this.parameters = { ...options.parameters }
  }
}
