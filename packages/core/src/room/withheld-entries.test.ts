import { expect, test } from "vitest"
import { connect, createNode, meddled, memory } from "../../test/simulated-engines.ts"
import type { ReadOutcome, Replica } from "../ports/replica.ts"
import type { MemoryCollection } from "../testing/memory-replica.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"

/** Holds what it cannot send under the key "unreadable". */
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
