import { encodeHostMessage, MAX_ROOM_PEERS } from "@dunlin/core/signaling"
import { bytesOfKey } from "./binary-key.ts"

/**
 * Who came and went since the members of a topic were last told. A peer that came and went is listed as gone, not left
 * out: someone may have it in the list that came with `joined`.
 */
export type PresenceChanges = Map<string, "joined" | "left">

export function mergeChanges(into: PresenceChanges, changes: PresenceChanges): void {
  for (const [peerKey, change] of changes) into.set(peerKey, change)
}

/** The changes in as few frames as possible, without those about `self`. */
export function presenceFrames(changes: PresenceChanges, channel: number, self: string | null): Uint8Array[] {
  const joined: Uint8Array[] = []
  const left: Uint8Array[] = []
  for (const [peerKey, change] of changes) {
    if (peerKey !== self) (change === "joined" ? joined : left).push(bytesOfKey(peerKey))
  }
  const frames: Uint8Array[] = []
  for (let at = 0; at < Math.max(joined.length, left.length); at += MAX_ROOM_PEERS) {
    frames.push(
      encodeHostMessage({
        type: "presence",
        channel,
        joined: joined.slice(at, at + MAX_ROOM_PEERS),
        left: left.slice(at, at + MAX_ROOM_PEERS),
      }),
    )
  }
  return frames
}
