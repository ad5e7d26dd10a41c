/** What went wrong, for programs. */
export type RoomProviderErrorCode =
  /** What an unmounted provider opened, or tried to, is not closed in time. */
  "former-room-open"

/** What `RoomProvider` throws to the nearest error boundary beside the failures of `open` itself. */
export class RoomProviderError extends Error {
  override readonly name = "RoomProviderError"
  readonly code: RoomProviderErrorCode

  constructor(code: RoomProviderErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
