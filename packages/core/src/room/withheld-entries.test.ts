import { expect, test } from "vitest"
import { connect, createNode, meddled, memory, type Node } from "../../test/simulated-engines.ts"
import type { ReadOutcome, Replica } from "../ports/replica.ts"
import type { MemoryCollection } from "../testing/memory-replica.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"

/** A replica that cannot send what it holds under the key "unreadable". */
function withholding(outcome: ReadOutcome): Replica<MemoryCollection> {
  return meddled(({ read }) => ({
    async read(requests, peer) {
      const [first] = requests
      if (first?.key === "unreadable") return [outcome]
      const before = requests.findIndex(({ key }) => key === "unreadable")
      return read(before < 0 ? requests : requests.slice(0, before), peer)
    },
  }))
}

const outcomes: readonly ReadOutcome[] = [
  { type: "refused", reason: "a migration strategy failed on it" },
  { type: "none" },
]

for (const outcome of outcomes) {
  test(`an entry that its only holder cannot send (${outcome.type}) keeps nobody from agreeing while that brings all else`, async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const notes = await a.engine.replicate(memory())
    const theirs = await b.engine.replicate(withholding(outcome))
    const wire = connect(time, [a, b])
    await time.runFor(2_000)
    // Too long to be pushed: each is asked for, and the link is never quiet.
    const large = "x".repeat(20_000)
    await theirs.set("unreadable", { large })
    let writes = 0
    const write = (): void => {
      void theirs.set("large", { large, at: writes++ })
      time.schedule(2_000, write)
    }
    write()
    await time.runFor(10_000)
    await notes.set("mine", {})
    let isSynced = false
    void notes.synced({ signal: new AbortController().signal }).then(() => (isSynced = true))
    await time.runUntil(() => isSynced, 60_000)
    expect(isSynced).toBe(true)
    expect(notes.keys.toSorted()).toEqual(["large", "mine"])
    const phases = [...a.engine.links.get().values()].map(({ replicas }) => replicas.get("notes")?.pendingIn)
    expect(phases).toEqual([0])
    const wants = wire.sent[0].filter(({ type }) => type === "want").length
    expect(wants).toBeLessThan(writes + 3)
  })
}

test("of two that hold an entry the second is asked at once where the first does not send it", async () => {
  const time = createSimulatedTime()
  const [a, b, c] = [createNode(time, "a"), createNode(time, "b"), createNode(time, "c")]
  const notes = await a.engine.replicate(memory())
  const theirs = await b.engine.replicate(withholding({ type: "none" }))
  const others = await c.engine.replicate(memory())
  connect(time, [a, b])
  connect(time, [a, c], { delayMs: 100 })
  await time.runFor(2_000)
  const large = "x".repeat(20_000)
  await theirs.set("unreadable", { of: "b", large })
  await others.set("unreadable", { of: "c", large })
  await time.runFor(2_000)
  expect(notes.get("unreadable")).toEqual({ of: "c", large })
})

for (const initiator of ["a", "b"] as const) {
  test(`what is here of an entry reaches a peer that cannot send its own, and the link comes to rest (${initiator} begins)`, async () => {
    const time = createSimulatedTime()
    // The side with the lower session id begins.
    const [a, b] = [createNode(time, "a"), createNode(time, "b")].toSorted((one, two) =>
      one.session < two.session === (initiator === "a") ? -1 : 1,
    ) as [Node, Node]
    const theirs = await b.engine.replicate(
      withholding({ type: "refused", reason: "a migration failed on it" }),
    )
    const notes = await a.engine.replicate(memory())
    await theirs.set("unreadable", { of: "b" })
    await notes.set("unreadable", { of: "a" })
    await theirs.set("readable", {})
    const wire = connect(time, [a, b])
    let isSynced = false
    void notes.synced({ signal: new AbortController().signal }).then(() => (isSynced = true))
    await time.runFor(30_000)
    expect(isSynced).toBe(true)
    expect(theirs.state("unreadable")?.context.size).toBe(2)
    expect(notes.keys.toSorted()).toEqual(["readable", "unreadable"])
    const before = [wire.sent[0].length, wire.sent[1].length]
    await time.runFor(60_000)
    const after = wire.sent.flatMap((frames, at) => frames.slice(before[at]).map(({ type }) => type))
    expect(new Set(after)).toEqual(new Set(["ping", "pong", "root"]))
  })
}

for (const outcome of outcomes) {
  test(`a change made while a read brings nothing (${outcome.type}) is told, and synced() waits for it`, async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    let reads = 0
    let isOver = false
    const slow = meddled(({ read }) => ({
      async read(requests, peer) {
        if (reads++ > 0) return read(requests, peer)
        await new Promise<void>((resolve) => {
          time.schedule(1_000, resolve)
        })
        isOver = true
        return requests.map(() => outcome)
      },
    }))
    const theirs = await b.engine.replicate(slow)
    const notes = await a.engine.replicate(memory())
    connect(time, [a, b])
    await time.runFor(5_000)
    const large = "x".repeat(20_000)
    await theirs.set("doc", { at: 1, large })
    await time.runUntil(() => reads > 0, 10_000)
    await theirs.set("doc", { at: 2, large })
    await time.runUntil(() => isOver, 10_000)
    const held = theirs.synced({ signal: new AbortController().signal }).then(() => notes.get("doc"))
    await time.runFor(60_000)
    expect(await held).toEqual({ at: 2, large })
  })
}

test("a replica that answers none of the reads is asked again, and what it held up arrives", async () => {
  const time = createSimulatedTime()
  const [a, b] = [createNode(time, "a"), createNode(time, "b")]
  const notes = await a.engine.replicate(memory())
  let unanswered = 3
  const theirs = await b.engine.replicate(
    meddled(({ read }) => ({
      read: async (requests, peer) => (unanswered-- > 0 ? [] : read(requests, peer)),
    })),
  )
  await theirs.set("k", { n: 1 })
  const wire = connect(time, [a, b])
  await time.runFor(1_000)
  expect([notes.get("k"), wire.closings]).toEqual([null, []])
  expect(b.told.join()).toContain("answered none of the reads")
  let isSynced = false
  void theirs.synced({ signal: new AbortController().signal }).then(() => (isSynced = true))
  await time.runFor(3_000)
  expect(isSynced).toBe(false)
  await time.runFor(10_000)
  expect([isSynced, notes.get("k")]).toEqual([true, { n: 1 }])
})
