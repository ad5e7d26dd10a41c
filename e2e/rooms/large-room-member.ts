import { memoryIdentity, openRoom, type Room } from "@dunlin/core"
import { createMemoryReplica, type MemoryCollection } from "@dunlin/core/testing"
import { webrtc, type WebRtcOptions } from "@dunlin/core/webrtc"

/** One of many members of a room, in a Node process or in a page; arguments and results are JSON. */
export interface LargeRoomMember {
  join(invite: string, signaling: string, hello: string): Promise<void>
  write(key: string): Promise<void>
  keyCount(): number
  /** A hash of every key with its value: equal hashes mean equal data. */
  contentHash(): Promise<string>
  /** When each key was first seen, in milliseconds by this machine's clock. */
  arrivals(keys: readonly string[]): readonly (number | null)[]
  linkCount(): number
  /** Payloads received, and bytes in both directions, over the links that are open. */
  traffic(): { readonly entriesIn: number; readonly bytes: number; readonly sessions: readonly string[] }
  story(): readonly string[]
  leave(): Promise<void>
}

export function createLargeRoomMember(wrtc?: NonNullable<WebRtcOptions["wrtc"]>): LargeRoomMember {
  const arrivalByKey = new Map<string, number>()
  let room: Room | null = null
  let things: MemoryCollection | null = null

  const collection = (): MemoryCollection => {
    if (things === null) throw new Error("not joined")
    return things
  }
  return {
    async join(invite, signaling, hello) {
      const transport = webrtc({ signaling, ...(wrtc === undefined ? {} : { wrtc }) })
      room = await openRoom({ invite, identity: memoryIdentity(), transports: [transport] })
      things = await room.replicate(createMemoryReplica({ name: "things" }))
      things.subscribe((key) => {
        if (!arrivalByKey.has(key)) arrivalByKey.set(key, Date.now())
      })
      await things.set(hello, { text: "hello" })
    },
    async write(key) {
      await collection().set(key, { text: "x".repeat(120), at: Date.now() })
    },
    keyCount: () => things?.keys.length ?? 0,
    async contentHash() {
      const held = collection()
      // The author's own objects keep the field order in which they were created.
      const lines = [...held.keys]
        .toSorted()
        .map((key) => `${key}=${JSON.stringify(Object.entries(held.get(key) ?? {}).toSorted())}`)
      const bytes = new TextEncoder().encode(lines.join("\n"))
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
      return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")
    },
    arrivals: (keys) => keys.map((key) => arrivalByKey.get(key) ?? null),
    linkCount: () => room?.peers.get().filter(({ stage }) => stage === "live").length ?? 0,
    traffic() {
      const counters = [...(room?.diagnostics.counters() ?? [])]
      return {
        entriesIn: counters.reduce((sum, [, { entriesIn }]) => sum + entriesIn, 0),
        bytes: counters.reduce((sum, [, { bytesIn, bytesOut }]) => sum + bytesIn + bytesOut, 0),
        sessions: counters.map(([session]) => session).toSorted(),
      }
    },
    story: () => (room?.diagnostics.recent() ?? []).slice(-30).map((one) => JSON.stringify(one)),
    async leave() {
      await room?.close()
      room = null
      things = null
      arrivalByKey.clear()
    },
  }
}
