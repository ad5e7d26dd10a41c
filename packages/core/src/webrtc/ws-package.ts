import type { WebSocketConstructor } from "./web-socket.ts"

/** The `ws` package, if it can be found from here: for a Node that has no WebSocket of its own. Null in other runtimes. */
export function requireWs(): WebSocketConstructor | null {
  const { process } = globalThis as { process?: NodeJS.Process }
  // Not an import: this package does not depend on `ws`.
  const required: unknown = process?.getBuiltinModule("node:module").createRequire(import.meta.url)("ws")
  // Under some export conditions this gives the namespace of its ES module instead of the class.
  const found = (required as { readonly WebSocket?: unknown } | undefined)?.WebSocket ?? required
  return typeof found === "function" ? (found as WebSocketConstructor) : null
}
