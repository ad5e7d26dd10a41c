import { WebrtcProvider } from "y-webrtc"
import * as Y from "yjs"

/** Joins as soon as the page runs; the fragment says where: `#<room>|<signaling url>|<"write" or "">`. */
const [name = "", signaling = "", write = ""] = location.hash.slice(1).split("|")
let syncedAt: number | null = null

const doc = new Y.Doc()
const entries = doc.getMap("entries")
entries.observe(() => (syncedAt ??= performance.now()))
if (write === "write") entries.set("first", { here: true })
// A password encrypts its signaling, as Dunlin's always is; without one it would be in the clear.
const provider = new WebrtcProvider(name, doc, {
  signaling: [signaling],
  password: "the room's secret",
  peerOpts: { config: { iceServers: [] } },
})

export async function waitForSync(): Promise<number> {
  for (let waited = 0; syncedAt === null && waited < 20_000; waited += 2) {
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  if (syncedAt === null) throw new Error("nothing came in 20 s")
  return syncedAt
}

export function timeline(): readonly string[] {
  return [provider.room?.name ?? "no room"]
}
