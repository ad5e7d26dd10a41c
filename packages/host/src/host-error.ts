/** Match this, not the message. */
export type HostErrorCode =
  | "invalid-setting" // a setting has a value that it cannot have, or lacks another setting that it needs
  | "unknown-setting" // no setting has this name; the message suggests a similar one, if any
  | "unreadable-file" // a file that a setting names cannot be read
  | "address-in-use" // another process has the port
  | "cannot-listen" // the system refuses the port or address for another reason, given in `cause`

/** Why a host did not start; the message names the setting. A running host throws it only from `reloadTls`. */
export class HostError extends Error {
  override readonly name = "HostError"
  readonly code: HostErrorCode

  constructor(code: HostErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
