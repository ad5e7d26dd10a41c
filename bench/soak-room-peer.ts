// One peer of the room soak, in a process of its own.
import { memoryIdentity, openRoom } from "@dunlin/core"
import type { Room } from "@dunlin/core"
import { createMemoryReplica } from "@dunlin/core/testing"
import type { MemoryCollection } from "@dunlin/core/testing"
import { webrtc } from "@dunlin/core/webrtc"
import * as wrtc from "node-datachannel/polyfill"

let room: Room | null = null
let things: MemoryCollection | null = null

export async function join(invite: string, signaling: string): Promise<void> {
  room = await openRoom({ invite, identity: memoryIdentity(), transports: [webrtc({ signaling, wrtc })] })
  things = await room.replicate(createMemoryReplica({ name: "things" }))
}

export async function write(key: string, value: string): Promise<void> {
  await things?.set(key, { value })
}

/** Equal text means equal data. */
export function contents(): string {
  return [...(things?.keys ?? [])]
    .toSorted()
    .map((key) => `${key}=${JSON.stringify(things?.get(key))}`)
    .join("\n")
}

export function peers(): number {
  return room?.peers.get().length ?? 0
}

/** Memory after a garbage collection, so that whatever is left is still referenced. */
export function memory(): { readonly heapBytes: number; readonly rssBytes: number } {
  globalThis.gc?.()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heapBytes: heapUsed + external, rssBytes: rss }
}

export async function leave(): Promise<void> {
  await room?.close()
}
