/** Everything that can be wrong with bytes from outside. Closed, so that callers can match it. */
export type DecodeErrorCode =
  | "truncated"
  | "trailing-bytes"
  | "frame-too-large"
  | "too-many-items"
  | "bad-number"
  | "bad-text"
  | "unknown-tag"
  | "unknown-version"
  | "bad-value"
  /** Well-formed bytes at a moment, or in an amount, that the protocol does not allow. */
  | "protocol-violation"

/** The one exception that bytes from a peer, a server or a file can cause. Caught once, at the boundary. */
export class DecodeError extends Error {
  override readonly name = "DecodeError"
  readonly code: DecodeErrorCode

  constructor(code: DecodeErrorCode, detail?: string) {
    super(detail === undefined ? `cannot decode: ${code}` : `cannot decode: ${code} (${detail})`)
    this.code = code
  }
}
