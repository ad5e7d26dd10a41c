/** Match this, not the message. */
export type HostErrorCode =
  /** A setting has a value that it cannot have, or lacks another setting that it needs. */
  | "invalid-setting"
  /** No setting has this name; the message suggests a similar one, if any. */
  | "unknown-setting"
  /** A file that a setting names cannot be read. */
  | "unreadable-file"
  /** Another process has the port. */
  | "address-in-use"
  /** The system refuses the port or address for another reason, given in `cause`. */
  | "cannot-listen"

/** Why a host did not start; the message names the setting. A running host throws it only from `reloadTls`. */
export class HostError extends Error {
  override readonly name = "HostError"
  readonly code: HostErrorCode

  constructor(code: HostErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
