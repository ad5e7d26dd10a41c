import type { RoomStatus } from "@dunlin/core"
import { describe, expect, it } from "vitest"
import { describeSync, type SyncFacts } from "./sync-words.ts"

const idle: RoomStatus = {
  phase: "searching",
  peers: 0,
  pendingOut: 0,
  pendingIn: 0,
  syncedPeers: 0,
  problem: null,
  tab: "alone",
}
const facts = (change: Partial<SyncFacts> = {}): SyncFacts => ({
  room: { type: "open" },
  status: idle,
  online: true,
  paused: false,
  durable: true,
  ...change,
})

describe("describeSync", () => {
  it.each([
    ["alone", facts(), "Saved on this device"],
    ["before the room is open", facts({ room: { type: "opening" }, status: null }), "Saved on this device"],
    ["offline", facts({ online: false }), "Offline: changes are saved on this device"],
    ["paused", facts({ paused: true }), "Sync is paused"],
    [
      "without a server",
      facts({ status: { ...idle, problem: { code: "no-signaling", message: "no signaling server" } } }),
      "Can’t find other devices, retrying",
    ],
    ["in sync", facts({ status: { ...idle, peers: 3, syncedPeers: 2 } }), "Synced with 2 of 3"],
    ["with changes under way", facts({ status: { ...idle, peers: 1, pendingOut: 4 } }), "Syncing 4 changes"],
    ["without storage", facts({ durable: false }), "Not saved"],
    [
      "while peers go on without the server",
      facts({
        status: { ...idle, peers: 1, syncedPeers: 1, problem: { code: "no-signaling", message: "gone" } },
      }),
      "Synced with 1 of 1",
    ],
  ])("%s", (_, given, short) => {
    expect(describeSync(given).short).toBe(short)
  })

  it("never alarms when only other devices are missing", () => {
    expect(describeSync(facts({ online: false })).tone).toBe("calm")
  })
})
