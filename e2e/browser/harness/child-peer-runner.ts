// Runs in the child: loads the module named on the command line and answers calls to its exports.
import { inspect } from "node:util"
import type { PeerAnswer, PeerRequest } from "./child-peer.ts"

const exports: Record<string, unknown> = await import(process.argv[2] ?? "")

process.on("message", (request: PeerRequest) => void answer(request))
// The test is gone, so nobody else will end this process.
process.on("disconnect", () => process.exit(0))
process.on("SIGTERM", () => process.exit(0))
reply({ type: "ready" })

async function answer(request: PeerRequest): Promise<void> {
  switch (request.type) {
    case "ping":
      return reply({ type: "pong" })
    case "describe":
      return reply({ type: "state", state: describe() })
    case "call":
      return answerCall(request)
  }
}

async function answerCall({ id, name, args }: Extract<PeerRequest, { type: "call" }>): Promise<void> {
  try {
    const called = exports[name]
    if (typeof called !== "function") throw new Error(`The module exports no function "${name}".`)
    reply({ type: "value", id, value: await called(...args) })
  } catch (error) {
    reply({ type: "error", id, error: inspect(error) })
  }
}

/** What the module reports about itself, if it exports `facts` and `diagnostics` as a room's module does. */
function describe(): string {
  const lines: string[] = []
  for (const name of ["facts", "diagnostics"]) {
    const told = exports[name]
    if (typeof told !== "function") continue
    try {
      const value: unknown = told()
      lines.push(...(Array.isArray(value) ? value.slice(-20).map(String) : [JSON.stringify(value)]))
    } catch (error) {
      lines.push(`${name}: ${inspect(error)}`)
    }
  }
  return lines.join("\n")
}

function reply(message: PeerAnswer): void {
  process.send?.(message)
}
