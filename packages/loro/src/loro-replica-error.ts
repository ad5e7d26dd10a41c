/** What went wrong, for programs. */
export type LoroReplicaErrorCode =
  | "document-deleted"
  | "document-open" // `attach` of an id, or of a `LoroDoc`, that is open already
  | "document-corrupt" // stored bytes that Loro cannot read
  | "invalid-document-id"
  | "invalid-update"
  | "too-large"
  | "wrong-key"
  | "store-in-use"
  | "storage-failed"
  | "closed"
  | "invalid-option"

/** What the Loro replica, its stores and its bindings throw. Match on `code`; the message says what to do. */
export class LoroReplicaError extends Error {
  override readonly name = "LoroReplicaError"
  readonly code: LoroReplicaErrorCode

  constructor(code: LoroReplicaErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/**
 * Loro throws plain strings, errors and WebAssembly traps. A trap may leave the document half changed, so traps are
 * told apart: whoever sees one drops the document and reads it again from the store.
 */
export function describeLoroFailure(thrown: unknown): { readonly trap: boolean; readonly reason: string } {
  const reason = reasonOf(thrown)
  const trap =
    thrown instanceof WebAssembly.RuntimeError ||
    // What Loro says about a lock or a borrow that an earlier trap never released.
    /recursively acquire|recursive use of an object|PoisonError|null pointer passed/i.test(reason)
  return { trap, reason: reason.slice(0, 200) }
}

/** The message of a caught value: databases and WebAssembly also throw values that are not errors. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
