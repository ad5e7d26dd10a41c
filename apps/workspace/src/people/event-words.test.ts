import type { Diagnostic } from "@dunlin/core"
import { describe, expect, it } from "vitest"
import { eventWords } from "./event-words.ts"

const names: Readonly<Record<string, string>> = { s1: "Ada" }
const words = (event: Diagnostic): string => eventWords(event, (session) => names[session])

describe("eventWords", () => {
  it("names people, and devices that have no name yet", () => {
    expect(words({ at: 0, type: "link-opened", peer: "s1", device: "", path: "relayed" })).toBe(
      "Ada: connected through a relay",
    )
    expect(words({ at: 0, type: "link-closed", peer: "d8eb3d00ff", reason: "silent" })).toBe(
      "Device d8eb3d: disconnected (silent)",
    )
  })

  it("says the steps of a connection in plain words, and keeps why one failed", () => {
    const report = { type: "stage", remote: "s1", stage: "ice", outcome: "failed", elapsedMs: 9, detail: "no candidates" } as const // prettier-ignore
    expect(words({ at: 0, type: "transport", transport: "webrtc", report })).toBe(
      "Ada: finding a way through the network, failed (no candidates)",
    )
    expect(
      words({ at: 0, type: "stage", peer: "s1", stage: "handshake", outcome: "passed", elapsedMs: 5 }),
    ).toBe("Ada: checking the invite, done after 5 ms")
  })

  it("speaks of the server by what it is for", () => {
    const report = {
      type: "signaling",
      server: "wss://x",
      state: "unreachable",
      detail: "no answer",
    } as const
    expect(words({ at: 0, type: "transport", transport: "webrtc", report })).toBe(
      "The server that lets devices find each other cannot be reached (no answer)",
    )
  })
})
