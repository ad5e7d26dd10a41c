import type { HostMessage } from "../src/signaling/signaling-message.ts"

/** What a host answers to a join, with nobody else in the room. */
export function joinedMessage({
  heartbeatMs,
}: {
  readonly heartbeatMs: number
}): HostMessage & { type: "joined" } {
  return {
    type: "joined",
    channel: 1,
    resumed: false,
    resume: new Uint8Array(16).fill(3),
    graceMs: 15_000,
    tokenExpiresInMs: 0,
    limits: {
      maxFrameBytes: 32_768,
      messagesPerSecond: 20,
      messageBurst: 100,
      bytesPerSecond: 65_536,
      byteBurst: 262_144,
      maxTopics: 8,
      maxPeers: 64,
      heartbeatMs,
    },
    ice: { servers: [], expiresInMs: 0 },
    peers: [],
  }
}
