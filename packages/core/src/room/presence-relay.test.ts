import { sha256 } from "@noble/hashes/sha2.js"
import { describe, expect, it } from "vitest"
import vectors from "../../vectors/presence-relay.json" with { type: "json" }
import { importPrivateKey, publicKeyOf, sign } from "../crypto/primitives.ts"
import { decodeFrame } from "../protocol/frame-codec.ts"
import type { PresenceRelayFrame } from "../protocol/frame.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { encodeUtf8 } from "../protocol/utf8.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"
import {
  createPresenceRelay,
  signedBytes,
  type PresenceRelay,
  type PresenceSigner,
} from "./presence-relay.ts"

/** A stand-in for Ed25519 that anyone could forge who knows the key: the relay only asks whether it is good. */
function signerFor(device: Uint8Array): PresenceSigner {
  const tag = (key: Uint8Array, message: Uint8Array): Uint8Array => {
    const once = sha256(Uint8Array.from([...key, ...message]))
    return Uint8Array.from([...once, ...sha256(once)])
  }
  return {
    sign: async (message) => tag(device, message),
    verify: async (key, message, signature) => sameBytes(tag(key, message), signature),
  }
}

interface Station {
  readonly relay: PresenceRelay
  readonly session: string
  readonly seen: Map<string, string | null>
  readonly sent: PresenceRelayFrame[]
}

/** A line: each station passes on to the next and the one before. */
function createLine(time: SimulatedTime, count: number): Station[] {
  const stations: Station[] = []
  for (let n = 0; n < count; n++) {
    const session = new Uint8Array(16).fill(n + 1)
    const device = new Uint8Array(32).fill(n + 101)
    const seen = new Map<string, string | null>()
    const sent: PresenceRelayFrame[] = []
    const relay = createPresenceRelay({
      clock: time.clock(),
      roomTag: new Uint8Array(32),
      session,
      device,
      signer: signerFor(device),
      isNeeded: () => true,
      isLinked: (other) => [n - 1, n + 1].some((near) => stations[near]?.session === other),
      changed: (from, _device, value) =>
        void seen.set(from, value === null ? null : new TextDecoder().decode(value)),
      send(frame, from) {
        sent.push(frame)
        for (const near of [n - 1, n + 1]) {
          const next = stations[near]
          if (next === undefined || next.session === from) continue
          time.schedule(20, () => next.relay.received(bytesToHex(session), frame))
        }
      },
    })
    stations.push({ relay, session: bytesToHex(session), seen, sent })
  }
  return stations
}

const at = (stations: readonly Station[], index: number): Station => stations[index] as Station

describe("presence over several links", () => {
  it("waits for the next time where the key does not sign", async () => {
    const time = createSimulatedTime()
    const sent: PresenceRelayFrame[] = []
    const device = new Uint8Array(32)
    let locked = true
    const signer: PresenceSigner = {
      ...signerFor(device),
      sign: (text) => (locked ? Promise.reject(new Error("locked")) : signerFor(device).sign(text)),
    }
    const relay = createPresenceRelay({
      clock: time.clock(),
      roomTag: new Uint8Array(32),
      session: new Uint8Array(16),
      device,
      signer,
      isNeeded: () => true,
      isLinked: () => false,
      changed() {},
      send: (frame) => void sent.push(frame),
    })
    relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    expect(sent).toEqual([])
    locked = false
    await time.runFor(31_000)
    expect(sent).toHaveLength(1)
    relay.close()
  })

  it("reaches peers that are not linked, and leaves those that are to their own word", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 5)
    at(line, 0).relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    expect(at(line, 4).seen.get(at(line, 0).session)).toBe("Ada")
    expect(at(line, 1).seen.has(at(line, 0).session)).toBe(false)
    at(line, 0).relay.publish(encodeUtf8("Grace"))
    await time.runFor(1_000)
    expect(at(line, 4).seen.get(at(line, 0).session)).toBe("Grace")
  })

  it("is forgotten when nothing refreshes it, and kept while its device does", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 4)
    at(line, 0).relay.publish(encodeUtf8("Ada"))
    await time.runFor(200_000)
    expect(at(line, 3).seen.get(at(line, 0).session)).toBe("Ada")
    at(line, 0).relay.close()
    await time.runFor(90_000)
    expect(at(line, 3).seen.get(at(line, 0).session)).toBe(null)
  })

  it("adds to its age at every relay, so that going round does not keep it alive", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 3)
    const ada = at(line, 0)
    ada.relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    ada.relay.close()
    await time.runFor(40_000)
    // A newcomer is told what the relay has heard, and tells the next one later.
    const late = createLine(time, 5)
    const handOver = (from: Station, to: Station): void => {
      for (const frame of from.relay.recent()) to.relay.received("aa", frame)
    }
    handOver(at(line, 2), at(late, 1))
    await time.runFor(20_000)
    expect(at(late, 4).seen.get(ada.session)).toBe("Ada")
    const ages = at(late, 4).relay.recent()
    expect(ages.map(({ ageMs }) => Math.round(ageMs / 1_000))).toEqual([61])
    await time.runFor(20_000)
    expect(at(late, 4).seen.get(ada.session)).toBe(null)
    handOver(at(late, 4), at(line, 1))
    await time.runFor(1_000)
    expect(at(line, 1).relay.recent()).toEqual([])
  })

  it("is not taken once it is older than it may get", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 2)
    at(line, 0).relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    const frame = at(line, 0).sent[0] as PresenceRelayFrame
    const late = at(createLine(time, 3), 2)
    late.relay.received("aa", { ...frame, ageMs: 75_001 })
    await time.runFor(100)
    expect(late.seen.size).toBe(0)
    late.relay.received("aa", { ...frame, ageMs: 74_000 })
    await time.runFor(100)
    expect(late.seen.get(at(line, 0).session)).toBe("Ada")
  })

  it("passes on neither forgeries nor repetitions", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 3)
    at(line, 0).relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    const frame = at(line, 0).sent[0] as PresenceRelayFrame
    const before = at(line, 1).sent.length
    at(line, 1).relay.received(at(line, 0).session, frame)
    at(line, 1).relay.received(at(line, 0).session, { ...frame, sequence: 99 })
    at(line, 1).relay.received(at(line, 0).session, { ...frame, sequence: 99, value: encodeUtf8("Eve") })
    await time.runFor(1_000)
    expect(at(line, 1).sent.length).toBe(before)
    expect(at(line, 2).seen.get(at(line, 0).session)).toBe("Ada")
  })

  it("of a known session is taken from its own device only", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 3)
    at(line, 0).relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    const device = new Uint8Array(32).fill(66)
    const claim = {
      ...(at(line, 0).sent[0] as PresenceRelayFrame),
      device,
      sequence: 1_000,
      value: encodeUtf8("Eve"),
    }
    const signature = await signerFor(device).sign(signedBytes(new Uint8Array(32), claim))
    at(line, 1).relay.received(at(line, 0).session, { ...claim, signature })
    await time.runFor(1_000)
    expect(at(line, 2).seen.get(at(line, 0).session)).toBe("Ada")
  })

  it("costs nothing where there is none to tell", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 3)
    for (const { relay } of line) relay.publish(null)
    await time.runFor(70_000)
    expect(line.flatMap(({ sent }) => sent)).toEqual([])
    at(line, 0).relay.publish(encodeUtf8("Ada"))
    await time.runFor(1_000)
    at(line, 0).relay.publish(null)
    await time.runFor(1_000)
    expect(at(line, 2).seen.get(at(line, 0).session)).toBe(null)
    const told = at(line, 0).sent.length
    await time.runFor(70_000)
    expect(at(line, 0).sent.length).toBe(told)
  })

  it("signs at most twice a second", async () => {
    const time = createSimulatedTime()
    const line = createLine(time, 2)
    for (let n = 0; n < 50; n++) {
      at(line, 0).relay.publish(encodeUtf8(`caret ${n}`))
      await time.runFor(20)
    }
    await time.runFor(1_000)
    expect(at(line, 0).sent.length).toBeLessThanOrEqual(5)
    expect(at(line, 0).sent.at(-1)?.value).toEqual(encodeUtf8("caret 49"))
  })
})

it("signs what it always signed", async () => {
  for (const { roomTag, deviceSeed, session, sequence, value, frame } of vectors) {
    const seed = hexToBytes(deviceSeed)
    const own = {
      session: hexToBytes(session),
      device: await publicKeyOf("Ed25519", seed),
      sequence,
      value: value === null ? null : encodeUtf8(value),
    }
    const signature = await sign(
      await importPrivateKey("Ed25519", seed),
      signedBytes(hexToBytes(roomTag), own),
    )
    expect(decodeFrame(hexToBytes(frame))).toEqual({ type: "presence-relay", ...own, ageMs: 0, signature })
  }
})
