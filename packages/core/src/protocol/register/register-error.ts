export type RegisterErrorCode =
  | "context-full" // the document has more writers than a context may list
  | "unshareable" // the document is not JSON within the bounds

/** A write of this device that cannot enter the register. Peer input causes `DecodeError` instead. */
export class RegisterError extends Error {
  override readonly name = "RegisterError"
  readonly code: RegisterErrorCode

  constructor(code: RegisterErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
