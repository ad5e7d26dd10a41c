/** Why something of the drop-in failed; match this, not the message. */
export type DropInErrorCode =
  | "invalid-option" // `replicateWebRTC()` lacks an option, or has one that no peer can follow
  | "unsupported" // an export of RxDB's plugin that has another place here
  | "peer" // something went wrong with one peer or document
  | "transport" // a server or a connection; the pool keeps trying
  | "canceled" // the pool was canceled while something waited for it

/** In the shape of RxDB's errors, with a closed code. */
export class DropInError extends Error {
  override readonly name = "DropInError"
  readonly code: DropInErrorCode
  /** What the error is about, such as the key of a document. RxDB has the same property. */
  readonly parameters: Readonly<Record<string, unknown>>

  constructor(
    code: DropInErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly parameters?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.parameters = options.parameters ?? {}
  }
}
