import { describe, expect, test } from "vitest"
import { connect, createNode, meddled, memory, type Node, refusing } from "../../test/simulated-engines.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"

const OWN = "0d".repeat(32)

interface Outcome {
  /** "open", "synced" or the code of the error. */
  is: string
}

function outcomeOf(promise: Promise<void>): Outcome {
  const outcome: Outcome = { is: "open" }
  promise.then(
    () => (outcome.is = "synced"),
    (error: unknown) => (outcome.is = (error as { readonly code?: string }).code ?? String(error)),
  )
  return outcome
}

const patient = (): { readonly signal: AbortSignal } => ({ signal: new AbortController().signal })

interface Family {
  readonly time: SimulatedTime
  /** Two sessions of one device: the tab reaches others through the holder. */
  readonly tab: Node
  readonly holder: Node
  readonly other: Node
}

function createFamily(): Family {
  const time = createSimulatedTime()
  return {
    time,
    tab: createNode(time, "tab", { device: OWN }),
    holder: createNode(time, "holder", { device: OWN }),
    other: createNode(time, "other"),
  }
}

describe("another session of the same device", () => {
  test("is no other device: without one synced() rejects after 30 s in both", async () => {
    const { time, tab, holder } = createFamily()
    const [notes] = [await tab.engine.replicate(memory()), await holder.engine.replicate(memory())]
    connect(time, [tab, holder])
    await notes.set("k", { n: 1 })
    const outcomes = [tab, holder].map(({ engine }) => outcomeOf(engine.synced()))
    await time.runFor(28_000)
    expect(outcomes.map(({ is }) => is)).toEqual(["open", "open"])
    await time.runFor(8_000)
    expect(outcomes.map(({ is }) => is)).toEqual(["no-peers", "no-peers"])
  })

  test("is asked: synced() resolves in a tab once another device of its holder has it durably", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(memory())
    let durable = false
    await other.engine.replicate(
      meddled(({ join }) => ({
        join: (entries, peer) =>
          new Promise((resolve) => {
            time.schedule(700, () => {
              durable = true
              resolve(join(entries, peer))
            })
          }),
      })),
    )
    connect(time, [tab, holder])
    await time.runFor(1_000)
    await notes.set("k", { n: 1 })
    const waiting = [outcomeOf(notes.synced(patient())), outcomeOf(tab.engine.synced(patient()))]
    await time.runFor(60_000)
    expect(waiting.map(({ is }) => is)).toEqual(["open", "open"])
    connect(time, [holder, other])
    await time.runFor(500)
    expect([durable, ...waiting.map(({ is }) => is)]).toEqual([false, "open", "open"])
    await time.runFor(5_000)
    expect([durable, ...waiting.map(({ is }) => is)]).toEqual([true, "synced", "synced"])
    const late = outcomeOf(tab.engine.synced())
    await time.runFor(1_000)
    expect(late.is).toBe("synced")
  })

  test("does not count beside another device", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    for (const { engine } of [holder, other]) await engine.replicate(memory())
    for (const pair of [
      [tab, holder],
      [holder, other],
      [tab, other],
    ] as const)
      connect(time, pair)
    await notes.set("k", { n: 1 })
    const [one, two] = [outcomeOf(tab.engine.synced()), outcomeOf(tab.engine.synced({ peers: 2 }))]
    await time.runFor(5_000)
    expect([one.is, two.is]).toEqual(["synced", "open"])
    await time.runFor(60_000)
    expect(two.is).toBe("no-peers")
  })

  test("passes on that other devices refuse an entry", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(memory())
    await other.engine.replicate(refusing())
    connect(time, [tab, holder])
    connect(time, [holder, other])
    await time.runFor(2_000)
    await notes.set("forbidden", { n: 1 })
    const outcome = outcomeOf(notes.synced())
    await time.runFor(20_000)
    expect(outcome.is).toBe("refused")
  })

  test("is asked for one replica where one is waited for", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await tab.engine.replicate(memory({ name: "more" }))
    for (const name of ["more", "notes"]) await holder.engine.replicate(memory({ name }))
    await other.engine.replicate(memory())
    connect(time, [tab, holder])
    connect(time, [holder, other])
    await notes.set("k", { n: 1 })
    const [one, all] = [outcomeOf(notes.synced(patient())), outcomeOf(tab.engine.synced(patient()))]
    await time.runFor(10_000)
    expect([one.is, all.is]).toEqual(["synced", "open"])
  })

  test("may die with the question: whoever takes its place is asked, and so is one that comes back", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(memory())
    await other.engine.replicate(memory())
    const link = connect(time, [tab, holder])
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(tab.engine.synced(patient()))
    await time.runFor(3_000)
    link.cut()
    await time.runFor(3_000)
    expect(outcome.is).toBe("open")
    connect(time, [tab, holder])
    connect(time, [holder, other])
    await time.runFor(5_000)
    expect(outcome.is).toBe("synced")
  })

  test("leaves nothing behind when its room closes", async () => {
    const { time, tab, holder } = createFamily()
    await tab.engine.replicate(memory())
    await holder.engine.replicate(memory())
    connect(time, [tab, holder])
    const outcomes = [outcomeOf(tab.engine.synced(patient())), outcomeOf(tab.engine.synced(patient()))]
    await time.runFor(3_000)
    await holder.engine.close()
    await time.runFor(3_000)
    expect(outcomes.map(({ is }) => is)).toEqual(["open", "open"])
    await tab.engine.close()
    await time.runFor(1_000)
    expect(outcomes.map(({ is }) => is)).toEqual(["closed", "closed"])
  })
})
