import type { Identity } from "./identity.ts"

/** Stands for the identity in a file where a bundle is made for pages, which have none. */
export function identityOfFiles(): Identity | null {
  return null
}
