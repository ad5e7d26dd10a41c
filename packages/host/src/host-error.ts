export type HostErrorCode =
  | "invalid-setting" // a setting has a value that it cannot have
  | "unknown-setting"
  | "unreadable-file" // a file that a setting names
  | "address-in-use"
  | "cannot-listen"

export class HostError extends Error {
  override readonly name = "HostError"
  readonly code: HostErrorCode

  constructor(code: HostErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
