import { expect, test } from "vitest"
import { announceNotes, connect, createNode, memory, type Node } from "../../test/simulated-engines.ts"
import { encodeFrame } from "../protocol/frame-codec.ts"
import { encodeMessage, laneOf } from "../protocol/message.ts"
import type { Frame } from "../protocol/frame.ts"
import { encodeDelta } from "../protocol/register/codec.ts"
import type { Dot } from "../protocol/register/dot.ts"
import type { JsonObject } from "../protocol/register/json.ts"
import { hashValue } from "../protocol/register/value.ts"
import { createSeededRandom, type SeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"

const session = new Uint8Array(16).fill(0xee)

/** A member that gives the node one state of the document "k", and falls silent. */
function plant(node: Node, delta: Uint8Array): void {
  const input = node.engine.addLink({
    session: "ee".repeat(16),
    device: "ff".repeat(32),
    role: "writer",
    maxMessageBytes: 65_536,
    send: () => {},
    buffered: () => 0,
    close: () => {},
  })
  const frames: Frame[] = [
    { type: "hello", version: 1, session, maxMessageBytes: 65_536, refusesEntries: false },
    announceNotes,
    { type: "data", slot: 0, kind: 0, key: "k", digest: new Uint8Array(8), delta },
  ]
  for (const frame of frames) input.message(laneOf(frame.type), encodeMessage([encodeFrame(frame)]))
}

/** Both writes were seen, and one of them is said to be overwritten: but by nothing. */
function stateWith(kept: "a" | "b"): Uint8Array {
  const context = new Map([
    ["a".repeat(16), 10],
    ["b".repeat(16), 10],
  ])
  const dot: Dot = { incarnation: kept.repeat(16), hlc: 10 }
  const payload: JsonObject = { kept }
  const siblings = [{ ...hashValue({ deleted: false, payload }), dot }]
  return encodeDelta({ complete: true, context, dots: [dot], siblings, view: null, fingerprint: null })
}

test("two states that no honest peer makes, and that join to nothing, keep two peers apart only until the next write", async () => {
  const time = createSimulatedTime()
  const [ada, bob] = [createNode(time, "ada"), createNode(time, "bob")]
  const notes = [await ada.engine.replicate(memory()), await bob.engine.replicate(memory())] as const
  plant(ada, stateWith("a"))
  plant(bob, stateWith("b"))
  await time.runFor(60_000)
  expect(notes.map((each) => each.get("k"))).toEqual([{ kept: "a" }, { kept: "b" }])

  const wire = connect(time, [ada, bob])
  await notes[0].set("other", { n: 1 })
  await time.runFor(10_000)
  expect(notes[1].get("other")).toEqual({ n: 1 })
  // Once each way, and again after a run.
  expect(wire.sent.flat().filter(({ type }) => type === "data").length).toBeLessThan(8)
  expect(ada.told).toContain("refused it contradicts what is held by us")
  const refused = notes[0].synced()
  refused.catch(() => {})
  await time.runFor(5_000)
  await expect(refused).rejects.toMatchObject({ code: "refused" })

  await notes[1].set("k", { kept: "both" })
  const synced = notes[1].synced()
  await time.runFor(30_000)
  await synced
  expect(notes[0].get("k")).toEqual({ kept: "both" })
  await ada.engine.close()
  await bob.engine.close()
  await time.runFor(1_000)
  expect(time.pending).toBe(0)
})

/** Any state that decodes, with values left out here and there. */
function anyState(random: SeededRandom): Uint8Array {
  const context = new Map<string, number>()
  for (const digit of ["a", "b", "c"])
    if (random.below(3) > 0) context.set(digit.repeat(16), 5 + random.below(2))
  const siblings = [...context]
    .filter(() => random.below(2) > 0)
    .map(([incarnation, hlc]) => ({
      ...hashValue({ deleted: false, payload: { v: random.below(2) } }),
      dot: { incarnation, hlc: hlc - random.below(2) },
    }))
  if (siblings.length === 0) return anyState(random)
  const dots = siblings.map(({ dot }) => dot)
  const values = siblings.filter(() => random.below(6) > 0)
  const complete = random.below(5) > 0
  return encodeDelta({ complete, context, dots, siblings: values, view: null, fingerprint: null })
}

test("whatever a member makes two peers hold, they come to an end, and to the same unless they refuse", async () => {
  const random = createSeededRandom("states")
  let alike = 0
  for (let round = 0; round < 30; round++) {
    const time = createSimulatedTime()
    const [ada, bob] = [createNode(time, "ada"), createNode(time, "bob")]
    const notes = [await ada.engine.replicate(memory()), await bob.engine.replicate(memory())] as const
    for (const node of [ada, bob]) plant(node, anyState(random))
    await time.runFor(60_000)
    const wire = connect(time, [ada, bob])
    const exchanged = (): number => wire.sent.flat().filter(({ type }) => type === "data").length
    await time.runFor(20_000)
    const before = exchanged()
    await time.runFor(60_000)
    expect(exchanged()).toBe(before)
    const isRefused = ada.told.some((told) => told.includes("contradicts"))
    if (!isRefused) {
      expect(notes[0].get("k")).toEqual(notes[1].get("k"))
      alike++
    }
    await ada.engine.close()
    await bob.engine.close()
  }
  expect(alike).toBeGreaterThan(15)
})
