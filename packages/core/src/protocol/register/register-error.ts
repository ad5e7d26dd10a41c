/** Match this, not the message. */
export type RegisterErrorCode =
  | "context-full" // 16,384 sessions wrote the document, as many as a context may list
  | "unshareable" // the document is not JSON, too deep, or has a key that reaches a prototype

/** A write of this device that cannot enter the register. Peer input causes `DecodeError` instead. */
export class RegisterError extends Error {
  override readonly name = "RegisterError"
  readonly code: RegisterErrorCode

  constructor(code: RegisterErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
