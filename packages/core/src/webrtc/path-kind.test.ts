import { describe, expect, test } from "vitest"
import { createPathProbe } from "./path-kind.ts"

const local = { id: "L", type: "local-candidate", candidateType: "host", address: "10.0.0.1", port: 1 }
const remote = {
  id: "R",
  type: "remote-candidate",
  candidateType: "prflx",
  address: "192.0.2.9",
  port: 49_160,
}
const pair = { id: "P", type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R" }
const nominated = { ...pair, nominated: true, state: "succeeded" }

describe("a path", () => {
  test("is not known before a pair was chosen", () => {
    expect(createPathProbe().isRelayed([local, remote, pair])).toBeNull()
  })

  test("is relayed when either end is", () => {
    const probe = createPathProbe()
    expect(probe.isRelayed([local, { ...remote, candidateType: "relay" }, nominated])).toBe(true)
    expect(probe.isRelayed([{ ...local, candidateType: "relay" }, remote, nominated])).toBe(true)
    expect(probe.isRelayed([local, remote, nominated])).toBe(false)
  })

  test("is relayed when the other end was signaled as a relay, and ICE met it by itself first", () => {
    const probe = createPathProbe()
    probe.remote("candidate:1 1 UDP 8331263 192.0.2.9 49160 typ relay raddr 0.0.0.0 rport 0")
    expect(probe.isRelayed([local, remote, nominated])).toBe(true)
    expect(probe.isRelayed([local, { ...remote, port: 49_161 }, nominated])).toBe(false)
  })

  test("is that of the chosen pair, of several that were nominated", () => {
    const relay = { ...remote, id: "R2", candidateType: "relay" }
    const other = { ...nominated, id: "P2", remoteCandidateId: "R2" }
    const transport = { id: "T", type: "transport", selectedCandidatePairId: "P2" }
    const probe = createPathProbe()
    expect(probe.isRelayed([local, remote, relay, nominated, other])).toBe(false)
    expect(probe.isRelayed([local, remote, relay, nominated, other, transport])).toBe(true)
    expect(probe.isRelayed([local, remote, relay, nominated, { ...other, selected: true }])).toBe(true)
  })

  test("is read from any candidate, however malformed", () => {
    const probe = createPathProbe()
    for (const candidate of ["", "candidate:", "typ relay", "a b c d e f g relay"]) probe.remote(candidate)
    expect(probe.isRelayed([null, local, remote, nominated].filter(Boolean))).toBe(false)
  })
})
