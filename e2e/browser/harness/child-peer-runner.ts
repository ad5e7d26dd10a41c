// Runs in the child: loads the module named on the command line and answers calls of its exports.
import type { PeerAnswer, PeerRequest } from "./child-peer.ts"

const exports: Record<string, unknown> = await import(process.argv[2] ?? "")

process.on("message", (request: PeerRequest) => void answer(request))
// The test is gone, so nobody will close this process.
process.on("disconnect", () => process.exit(0))
process.on("SIGTERM", () => process.exit(0))
reply({ type: "ready" })

async function answer({ id, name, args }: PeerRequest): Promise<void> {
  try {
    const called = exports[name]
    if (typeof called !== "function") throw new Error(`The module exports no function "${name}".`)
    reply({ type: "value", id, value: await called(...args) })
  } catch (error) {
    reply({
      type: "error",
      id,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }
}

function reply(message: PeerAnswer): void {
  process.send?.(message)
}
