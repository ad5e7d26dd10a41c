import { memoryIdentity, openRoom } from "@dunlin/core"
import { createMemoryReplica } from "@dunlin/core/testing"
import { webrtc } from "@dunlin/core/webrtc"

/** Joins as soon as the page runs; the fragment says where: `#<invite>|<signaling url>|<key to write or "">`. */
const [invite = "", signaling = "", write = ""] = location.hash.slice(1).split("|")
let syncedAt: number | null = null
const stages: string[] = []

const ranAt = performance.now()
const room = await openRoom({
  invite,
  transports: [webrtc({ signaling })],
  // A profile's key in IndexedDB is measured in a row of its own.
  ...(write === "memory" && { identity: memoryIdentity() }),
  onDiagnostic: (diagnostic) => stages.push(`${Math.round(performance.now())} ${JSON.stringify(diagnostic)}`),
})
const openedAt = performance.now()
const entries = await room.replicate(createMemoryReplica({ name: "entries" }))
entries.subscribe(() => (syncedAt ??= performance.now()))
if (write === "write") await entries.set("first", { here: true })

/** Milliseconds from the start of navigation to the first entry of another peer. */
export async function waitForSync(): Promise<number> {
  for (let waited = 0; syncedAt === null && waited < 20_000; waited += 2) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  if (syncedAt === null) throw new Error("nothing came in 20 s")
  return syncedAt
}

export function timeline(): readonly string[] {
  return [`${Math.round(ranAt)} ran`, `${Math.round(openedAt)} opened`, ...stages]
}
