/** Match this, not the message. */
export type LoroReplicaErrorCode =
  /** The document was deleted, here or elsewhere, for ever. */
  | "document-deleted"
  /** `attach` was given an id, or a `LoroDoc`, that is open already. */
  | "document-open"
  /** The document is damaged in the store, or was written by a newer version of the application. */
  | "document-corrupt"
  /** A document id is not well-formed text of 1 to 512 UTF-8 bytes. */
  | "invalid-document-id"
  /** Loro cannot take these bytes or this document in: damaged, of a form that is not accepted, or built on missing edits. */
  | "invalid-update"
  /** An import has more bytes, operations or authors than the replica allows. */
  | "too-large"
  /** The store is encrypted with another key, or a stored part does not decrypt. */
  | "wrong-key"
  /** Another tab or process has the store open, and it cannot be shared. */
  | "store-in-use"
  /** The disk or database failed, or is full; `cause` says why. */
  | "storage-failed"
  /** The document, its store or its room is closed. */
  | "closed"
  /** A name or schema tag is out of its bounds. */
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
