import { expect, test } from "vitest"
import { announceNotes, connect, createNode, DIGEST_KEY, memory } from "../../test/simulated-engines.ts"
import type { Frame } from "../protocol/frame.ts"
import { encodeFrame } from "../protocol/frame-codec.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { createKeyedDigest } from "../protocol/keyed-digest.ts"
import { decodeMessage, encodeMessage } from "../protocol/message.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"

const ITEMS = 512

function positionOf(n: number): Uint8Array {
  const position = new Uint8Array(16)
  new DataView(position.buffer).setUint32(0, n)
  return position
}

/** A peer of the engine that reads nothing until `readOn`. */
function meetDeafPeer(
  time: ReturnType<typeof createSimulatedTime>,
  node = createNode(time, "honest"),
  byte = 0xee,
) {
  const session = new Uint8Array(16).fill(byte)
  const heard: Frame[] = []
  const closed: string[] = []
  let buffered = 1_000_000
  const input = node.engine.addLink({
    session: bytesToHex(session),
    device: "ff".repeat(32),
    role: "writer",
    maxMessageBytes: 65_536,
    send: (_lane, message) => void heard.push(...decodeMessage(message).map(({ frame }) => frame)),
    buffered: () => buffered,
    close: (reason) => void closed.push(reason),
  })
  const say = (...frames: Frame[]): void => input.message("control", encodeMessage(frames.map(encodeFrame)))
  say({ type: "hello", version: 1, session, maxMessageBytes: 65_536, refusesEntries: false })
  return {
    node,
    heard,
    closed,
    say,
    readOn() {
      buffered = 0
      input.drained("control")
    },
  }
}

test("a peer that does not read, and takes back what it announces, leaves no more than some questions", async () => {
  const time = createSimulatedTime()
  const { node, heard, closed, say, readOn } = meetDeafPeer(time)
  await node.engine.replicate(memory())
  say(announceNotes)

  let announced = 0
  for (let round = 0; round < 34; round++) {
    for (let frame = 0; frame < 16; frame++) {
      const positions = Array.from({ length: ITEMS }, () => positionOf(announced++))
      const items = positions.map((position) => ({ position, digest: new Uint8Array(8).fill(1) }))
      say({ type: "offer", slot: 0, items })
    }
    await time.runFor(60)
    for (let at = announced - 16 * ITEMS; at < announced; at += ITEMS) {
      const positions = Array.from({ length: ITEMS }, (_, n) => positionOf(at + n))
      say({ type: "withheld", slot: 0, positions })
    }
  }

  readOn()
  await time.runFor(1_000)
  const asked = heard.flatMap((frame) => (frame.type === "want" ? frame.items : []))
  expect(asked.length).toBeGreaterThan(0)
  expect(asked.length).toBeLessThan(32_768 + 8_192)
  expect(closed).toEqual([])
  await node.engine.close()
  expect(time.pending).toBe(0)
})

test("what there is no room to ask a slow peer for is asked for once it reads", async () => {
  const time = createSimulatedTime()
  const { node, heard, say, readOn } = meetDeafPeer(time)
  const REPLICAS = 6
  for (let slot = 0; slot < REPLICAS; slot++) {
    await node.engine.replicate(memory({ name: `notes ${slot}` }))
    say({ ...announceNotes, slot, name: `notes ${slot}` })
    for (let frame = 0; frame < 16; frame++) {
      const items = Array.from({ length: ITEMS }, (_, n) => ({
        position: positionOf(frame * ITEMS + n),
        digest: new Uint8Array(8).fill(1),
      }))
      say({ type: "offer", slot, items })
    }
  }
  await time.runFor(1_000)
  readOn()
  await time.runFor(2_000)
  const asked = heard.flatMap((frame) =>
    frame.type === "want" ? frame.items.map(({ position }) => `${frame.slot} ${position.join()}`) : [],
  )
  expect(asked.length).toBe(REPLICAS * 8_192)
  expect(new Set(asked).size).toBe(REPLICAS * 8_192)
  await node.engine.close()
  expect(time.pending).toBe(0)
})

test("what one peer announces is asked for, however much others announce that they never bring", async () => {
  const time = createSimulatedTime()
  const node = createNode(time, "honest")
  await node.engine.replicate(memory())
  const offer = (say: (...frames: Frame[]) => void, from: number, count: number): void => {
    for (let at = 0; at < count; at += ITEMS) {
      const items = Array.from({ length: Math.min(ITEMS, count - at) }, (_, n) => ({
        position: positionOf(from + at + n),
        digest: new Uint8Array(8).fill(1),
      }))
      say({ type: "offer", slot: 0, items })
    }
  }
  for (let at = 0; at < 5; at++) {
    const { say, readOn } = meetDeafPeer(time, node, 0xd0 + at)
    readOn()
    say(announceNotes)
    offer(say, at * 10_000, 8_192)
  }
  await time.runFor(1_000)
  const { heard, say, readOn } = meetDeafPeer(time, node)
  readOn()
  say(announceNotes)
  offer(say, 100_000, 1)
  await time.runFor(1_000)
  const asked = heard.flatMap((frame) => (frame.type === "want" ? frame.items : []))
  expect(asked.map(({ position }) => position)).toEqual([positionOf(100_000)])
  await node.engine.close()
})

test("a long change comes from the peer that has it, however many others say all the time that they have a newer one", async () => {
  const time = createSimulatedTime()
  const random = createSeededRandom("liars")
  const [ada, bob] = [createNode(time, "ada"), createNode(time, "bob")]
  const notes = [await ada.engine.replicate(memory()), await bob.engine.replicate(memory())] as const
  const position = createKeyedDigest(DIGEST_KEY).position("k")
  const liars = Array.from({ length: 16 }, (_, at) => meetDeafPeer(time, at % 2 === 0 ? ada : bob, 0xd0 + at))
  for (const { say, readOn } of liars) {
    readOn()
    say(announceNotes)
  }
  connect(time, [ada, bob])
  await notes[0].set("k", { long: "" })
  await time.runFor(3_000)
  expect(notes[1].get("k")).toEqual({ long: "" })
  const long = "x".repeat(20_000)
  for (let ms = 0; ms < 120_000 && notes[1].get("k")?.["long"] !== long; ms += 50) {
    for (const { say } of liars) {
      say({ type: "have", slot: 0, items: [{ position, digest: random.bytes(8) }] })
      if (ms % 5_000 === 0) say({ type: "ping", nonce: 1 })
    }
    if (ms === 1_000) await notes[0].set("k", { long })
    await time.runFor(50)
  }
  expect(notes[1].get("k")).toEqual({ long })
  await ada.engine.close()
  await bob.engine.close()
})

test("while an entry does not come, nobody is told again and again that it is awaited", async () => {
  const time = createSimulatedTime()
  const { node, say, readOn } = meetDeafPeer(time)
  await node.engine.replicate(memory())
  readOn()
  say(announceNotes)
  await time.runFor(5_000)
  const pending: number[] = []
  node.engine.links.subscribe((links) => {
    for (const { replicas } of links.values())
      for (const { pendingIn } of replicas.values()) pending.push(pendingIn)
  })
  say({ type: "offer", slot: 0, items: [{ position: positionOf(1), digest: new Uint8Array(8).fill(1) }] })
  await time.runFor(30_000)
  expect(pending).toContain(1)
  expect(pending.length).toBeLessThan(20)
  await time.runFor(60_000)
  expect(pending.at(-1)).toBe(0)
  await node.engine.close()
})
