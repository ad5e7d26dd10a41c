import * as wrtc from "node-datachannel/polyfill"
import { memoryIdentity } from "../src/crypto/identity.ts"
import { openRoom, type OpenRoomOptions } from "../src/room/open-room.ts"
import type { Room } from "../src/room/room.ts"
import { createMemoryReplica, type MemoryCollection } from "../src/testing/memory-replica.ts"
import { webrtc, type WebRtcOptions } from "../src/webrtc/index.ts"

export interface Member {
  readonly room: Room
  readonly things: MemoryCollection
}

/** A room over real WebRTC with one replica, as an application would open it. */
export async function openMember(
  options: Pick<OpenRoomOptions, "invite"> & Partial<OpenRoomOptions>,
  transport: WebRtcOptions,
): Promise<Member> {
  const room = await openRoom({
    identity: memoryIdentity(),
    transports: [webrtc({ wrtc, ...transport })],
    ...options,
  })
  return { room, things: await room.replicate(createMemoryReplica({ name: "things" })) }
}

export async function until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited ${timeoutMs / 1000} s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
