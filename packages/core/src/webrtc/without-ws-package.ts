/** Replaces the function of `ws-package.ts` in bundles for pages, where webpack would write down where this file was. */
export function requireWs(): null {
  return null
}
