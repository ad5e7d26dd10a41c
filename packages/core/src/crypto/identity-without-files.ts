import type { Identity } from "./identity.ts"

/** Replaces the function of `identity-file.ts` in bundles for pages, which have no files. */
export function identityOfFiles(): Identity | null {
  return null
}
