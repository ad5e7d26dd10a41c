/** A page on plain http from another host has no WebCrypto: it cannot join a room. */
export function useInsecurePage(): boolean {
  return !globalThis.isSecureContext
}
