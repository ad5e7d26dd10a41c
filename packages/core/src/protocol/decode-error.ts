/** Everything that can be wrong with bytes from outside. A closed union, so that callers can match it. */
export type DecodeErrorCode =
  /** The input ends too early, or names a length beyond its end. */
  | "truncated"
  /** The input continues after its end. */
  | "trailing-bytes"
  /** The frame or one of its parts is longer than it may be. */
  | "frame-too-large"
  /** A list names more items than it may have. */
  | "too-many-items"
  /** A number is beyond its bound or 53 bits, or not in its shortest form. */
  | "bad-number"
  /** A text is not UTF-8. */
  | "bad-text"
  /** A kind of frame or record that this version does not know. */
  | "unknown-tag"
  /** A format version that this version does not know. */
  | "unknown-version"
  /** A value is readable but not allowed there: out of order, not canonical, of the wrong length. */
  | "bad-value"
  /** The bytes are well-formed, but came at a moment, or in an amount, that the protocol does not allow. */
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
