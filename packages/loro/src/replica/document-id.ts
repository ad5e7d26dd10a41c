import { LoroReplicaError } from "../loro-replica-error.ts"

const MAX_ID_BYTES = 512

/** Document ids are text of 1 to 512 UTF-8 bytes without lone surrogates. */
export function isDocumentId(id: unknown): id is string {
  if (typeof id !== "string" || id.length === 0 || id.length > MAX_ID_BYTES) return false
  return !/\p{Surrogate}/u.test(id) && new TextEncoder().encode(id).length <= MAX_ID_BYTES
}

export function assertDocumentId(id: unknown): asserts id is string {
  if (isDocumentId(id)) return
  throw new LoroReplicaError(
    "invalid-document-id",
    `a document id is text of 1 to ${MAX_ID_BYTES} UTF-8 bytes, not ${JSON.stringify(id)?.slice(0, 80)}`,
  )
}
