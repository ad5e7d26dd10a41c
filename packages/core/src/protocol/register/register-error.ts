/** Match this, not the message. */
export type RegisterErrorCode =
  /** 16,384 sessions have written the document, as many as a context may list. */
  | "context-full"
  /** The document is not JSON, is nested too deep, or has a key that reaches a prototype. */
  | "unshareable"

/** A write of this device that cannot enter the register. Peer input causes `DecodeError` instead. */
export class RegisterError extends Error {
  override readonly name = "RegisterError"
  readonly code: RegisterErrorCode

  constructor(code: RegisterErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
