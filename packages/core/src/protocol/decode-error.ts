/** Everything that can be wrong with bytes from outside. A closed union, so that callers can match it. */
export type DecodeErrorCode =
  | "truncated" // ends too early, or names a length beyond its end
  | "trailing-bytes" // goes on after its end
  | "frame-too-large"
  | "too-many-items"
  | "bad-number" // beyond its bound or 53 bits, or not in its shortest form
  | "bad-text" // not UTF-8
  | "unknown-tag" // a kind of frame or record that this version does not know
  | "unknown-version"
  | "bad-value" // readable, but not allowed there: out of order, not canonical, of the wrong length
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
