import { describe, expect, it } from "vitest"
import { describeSync, type SyncFacts } from "./sync-words.ts"

const done = { pending: 0, isSynced: true }
const facts = (change: Partial<SyncFacts> = {}): SyncFacts => ({
  room: { type: "open" },
  others: [],
  problem: null,
  online: true,
  paused: false,
  durable: true,
  isStorageFull: false,
  ...change,
})

describe("describeSync", () => {
  it.each([
    ["alone", facts(), "Saved on this device"],
    ["before the room is open", facts({ room: { type: "opening" } }), "Saved on this device"],
    ["offline", facts({ online: false }), "Offline: changes are saved on this device"],
    [
      "offline, with no server either",
      facts({ online: false, problem: { code: "no-signaling", message: "no signaling server" } }),
      "Offline: changes are saved on this device",
    ],
    ["full", facts({ isStorageFull: true, others: [done] }), "Not saved"],
    ["paused", facts({ paused: true }), "Sync is paused"],
    [
      "without a server",
      facts({ problem: { code: "no-signaling", message: "no signaling server" } }),
      "Can’t find other devices, retrying",
    ],
    [
      "in sync",
      facts({ others: [done, done, { pending: 0, isSynced: false }] }),
      "Synced with 2 of 3 devices",
    ],
    ["with changes under way", facts({ others: [{ pending: 4, isSynced: false }] }), "Syncing 4 changes"],
    ["without storage", facts({ durable: false }), "Not saved"],
    [
      "while peers go on without the server",
      facts({ others: [done], problem: { code: "no-signaling", message: "gone" } }),
      "Synced with 1 device",
    ],
  ])("%s", (_, given, short) => {
    expect(describeSync(given).short).toBe(short)
  })

  it("says what stands in the way without the words of the network", () => {
    const problem = { code: "no-signaling", message: "no signaling server: ws://10.0.0.1: retrying" } as const
    const { long } = describeSync(facts({ problem }))
    expect(long).toContain("does not answer")
    expect(long).not.toContain("signaling")
  })

  it("never alarms when only other devices are missing", () => {
    expect(describeSync(facts({ online: false })).tone).toBe("calm")
  })
})
