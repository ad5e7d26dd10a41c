/** What went wrong, for programs. */
export type RoomProviderErrorCode =
  /** A hook was called by a component that is not below a `RoomProvider`. */
  | "no-provider"
  /** What an unmounted provider opened, or tried to open, was not closed in time. */
  | "former-room-open"

/** `RoomProvider` and the hooks throw this to the nearest error boundary, besides the failures of `open` itself. */
export class RoomProviderError extends Error {
  override readonly name = "RoomProviderError"
  readonly code: RoomProviderErrorCode

  constructor(code: RoomProviderErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
