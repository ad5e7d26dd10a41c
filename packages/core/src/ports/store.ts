/** Durable bytes by name: the least that a replica needs of a disk. */
export interface Store {
  get(key: string): Promise<Uint8Array | null>
  /** Every entry whose key begins with `prefix`, in the order of UTF-16 code units. */
  entries(prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
  /**
   * Applies the changes in their order and resolves when all are durable. A crash may leave the first few of them, but
   * never half of one, and nothing of a later call before all of an earlier one.
   */
  write(changes: readonly StoreChange[]): Promise<void>
  /** Waits for pending writes. Idempotent; afterwards every other call rejects with `StoreError` "store-closed". */
  close(): Promise<void>
}

/** One value written or deleted. */
export interface StoreChange {
  readonly key: string
  /** Null deletes. */
  readonly value: Uint8Array | null
}

/** Match this, not the message. */
export type StoreErrorCode =
  /** A call came after `close`. */
  | "store-closed"
  /** Nothing of this call is durable, or only its first few changes are. */
  | "write-failed"
  /** The disk or database could not be read. */
  | "read-failed"

/** What a `Store` rejects with; `cause` is what its disk or database said. */
export class StoreError extends Error {
  override readonly name = "StoreError"
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
