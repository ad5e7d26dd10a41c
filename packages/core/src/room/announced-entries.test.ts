import { describe, expect, test } from "vitest"
import { connect, createNode, memory, type Node, refusing, type Wire } from "../../test/simulated-engines.ts"
import type { Replica } from "../ports/replica.ts"
import type { Frame } from "../protocol/frame.ts"
import type { MemoryCollection } from "../testing/memory-replica.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"

const payloads = (frames: readonly Frame[]): number =>
  frames.filter(({ type }) => type === "data" || type === "push").length

/** Changes once the promise has settled. */
function outcomeOf(promise: Promise<void>): { readonly is: "open" | "resolved" | "rejected" } {
  const outcome: { is: "open" | "resolved" | "rejected" } = { is: "open" }
  promise.then(
    () => (outcome.is = "resolved"),
    () => (outcome.is = "rejected"),
  )
  return outcome
}

const patient = { signal: new AbortController().signal }

describe("entries that a peer holds already when they are announced to it", () => {
  const MANY = 2_500

  const confirm = async (
    b: Replica<MemoryCollection>,
    meet: (time: SimulatedTime, nodes: readonly [Node, Node, Node]) => Promise<Wire>,
    outcome: "resolved" | "rejected" = "resolved",
  ): Promise<void> => {
    const time = createSimulatedTime()
    const nodes = [createNode(time, "a"), createNode(time, "b"), createNode(time, "c")] as const
    const notes = await nodes[0].engine.replicate(memory())
    const theirs = await nodes[1].engine.replicate(b)
    const source = await nodes[2].engine.replicate(memory())
    const wire = await meet(time, nodes)
    await notes.set("forbidden", {})
    await time.runFor(10_000)
    for (let n = 0; n < MANY; n++) await source.set(`k${n}`, { n })
    await time.runFor(2_000)
    expect([notes.keys.length, theirs.keys.length]).toEqual([
      MANY + 1,
      theirs.keys.includes("forbidden") ? MANY + 1 : MANY,
    ])
    const before = payloads(wire.sent[0])
    const startedAt = time.now
    await notes.set("new", {})
    const synced = outcomeOf(notes.synced({ peers: 2, ...patient }))
    await time.runUntil(() => synced.is !== "open", 300_000)
    expect(synced.is).toBe(outcome)
    expect(time.now - startedAt).toBeLessThan(10_000)
    expect(payloads(wire.sent[0]) - before).toBeLessThan(100)
  }

  test("are confirmed soon where a refused entry keeps roots apart", () =>
    confirm(
      refusing(),
      async (time, [a, b, c]) => {
        const wire = connect(time, [a, b])
        connect(time, [b, c])
        connect(time, [a, c], { delayMs: 250 })
        await time.runFor(3_000)
        return wire
      },
      "rejected",
    ))

  test("are confirmed soon by one that only receives", () =>
    confirm(memory({ direction: "receive-only" }), async (time, [a, b, c]) => {
      const wire = connect(time, [a, b])
      connect(time, [b, c])
      connect(time, [a, c])
      await time.runFor(3_000)
      return wire
    }))

  test("are confirmed soon by a reader", () =>
    confirm(memory(), async (time, [a, b, c]) => {
      const wire = connect(time, [a, b], { roles: ["reader", "writer"] })
      connect(time, [b, c], { roles: ["writer", "reader"] })
      connect(time, [a, c])
      await time.runFor(3_000)
      return wire
    }))
})

describe("under typing without a pause, on links of 200 ms", () => {
  const typing = async (typist: "a" | "b", seed: string): Promise<void> => {
    const time = createSimulatedTime()
    const [a, b, c] = [
      createNode(time, `a${seed}`),
      createNode(time, `b${seed}`),
      createNode(time, `c${seed}`),
    ]
    const left = await a.engine.replicate(memory())
    const right = await b.engine.replicate(memory())
    const far = await c.engine.replicate(memory())
    connect(time, [a, c], { delayMs: 100 })
    await left.set("old", {})
    await right.set("old too", {})
    await time.runFor(5_000)
    const typed = typist === "a" ? left : right
    let stop = false
    let n = 0
    const type = (): void => {
      if (stop) return
      void typed.set("text", { n: n++ })
      time.schedule(40, type)
    }
    type()
    await time.runFor(1_000)
    connect(time, [a, b], { delayMs: 100 })
    await time.runFor(300)
    await far.set("from afar", {})
    await time.runFor(10_000)
    stop = true
    expect(right.get("from afar")).toEqual({})
  }
  for (const typist of ["a", "b"] as const)
    for (const seed of ["one", "two", "three", "four"]) {
      test(`of ${typist}, what comes from afar goes on over a new link (${seed})`, () => typing(typist, seed))
    }
})
