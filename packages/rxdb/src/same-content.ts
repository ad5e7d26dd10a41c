import { type HashedValue, hashValue, type RegisterState, sameBytes } from "@dunlin/core"

/** Whether all siblings have the same content, so that whoever saw one of them has seen them all. */
export function showsOneContent({ siblings: [first, ...rest] }: RegisterState): boolean {
  return first !== undefined && rest.every((sibling) => sameContent(first, sibling))
}

/** Field clocks are no content, and neither is the hash that a value had before a migration. */
export function sameContent(a: HashedValue, b: HashedValue): boolean {
  return sameBytes(a.hash, b.hash) || sameBytes(hashOfContent(a), hashOfContent(b))
}

function hashOfContent({ deleted, payload }: HashedValue): Uint8Array {
  return hashValue({ deleted, payload }).hash
}
