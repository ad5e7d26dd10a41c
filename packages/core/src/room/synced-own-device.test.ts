import { describe, expect, test } from "vitest"
import { connect, createNode, meddled, memory, type Node, refusing } from "../../test/simulated-engines.ts"
import type { Replica, ReplicaHost } from "../ports/replica.ts"
import type { MemoryCollection } from "../testing/memory-replica.ts"
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

/** A replica whose host the test can use. */
function hosted(inner = memory()): { readonly replica: Replica<MemoryCollection>; host(): ReplicaHost } {
  const hosts: ReplicaHost[] = []
  const attach: typeof inner.attach = (host, options) => {
    hosts.push(host)
    return inner.attach(host, options)
  }
  return { replica: { ...inner, attach }, host: () => hosts.at(-1) as ReplicaHost }
}

/** A replica that takes this long to store anything. */
const slow = (time: SimulatedTime, delayMs: number): Replica<MemoryCollection> =>
  meddled(({ join }) => ({
    join: (entries, peer) =>
      new Promise((resolve) => time.schedule(delayMs, () => resolve(join(entries, peer)))),
  }))

interface Family {
  readonly time: SimulatedTime
  /** Two sessions of one device: the tab reaches others through the holder. */
  readonly tab: Node
  readonly holder: Node
  readonly other: Node
  readonly third: Node
}

function createFamily(): Family {
  const time = createSimulatedTime()
  return {
    time,
    tab: createNode(time, "tab", { device: OWN }),
    holder: createNode(time, "holder", { device: OWN }),
    other: createNode(time, "other"),
    third: createNode(time, "third"),
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

  test.each([
    ["of each other", [["other"], ["third"]], "synced"],
    ["of the same one", [["other"], ["other"]], "no-peers"],
    ["of the same one and another", [["other"], ["other", "third"]], "synced"],
  ] as const)(
    "counts with what the asking one knows itself: the devices %s",
    async (_name, [own, held], expected) => {
      const { time, ...family } = createFamily()
      const { tab, holder, other, third } = family
      const notes = await tab.engine.replicate(memory())
      for (const { engine } of [holder, other, third]) await engine.replicate(memory())
      connect(time, [tab, holder])
      for (const name of own) connect(time, [tab, family[name]])
      for (const name of held) connect(time, [holder, family[name]])
      await time.runFor(2_000)
      await notes.set("k", { n: 1 })
      const outcome = outcomeOf(notes.synced({ peers: 2 }))
      await time.runFor(60_000)
      expect(outcome.is).toBe(expected)
    },
  )

  test("counts with a second one that knows others", async () => {
    const { time, tab, holder, other, third } = createFamily()
    const second = createNode(time, "second", { device: OWN })
    const notes = await tab.engine.replicate(memory())
    for (const { engine } of [holder, second, other, third]) await engine.replicate(memory())
    for (const pair of [
      [tab, holder],
      [tab, second],
      [holder, other],
    ] as const)
      connect(time, pair)
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(notes.synced({ peers: 2, ...patient() }))
    await time.runFor(40_000)
    expect(outcome.is).toBe("open")
    connect(time, [second, third])
    await time.runFor(5_000)
    expect(outcome.is).toBe("synced")
  })

  test("is asked once for all replicas that are waited for, and not about those that only receive", async () => {
    const { time, tab, holder, other } = createFamily()
    await tab.engine.replicate(memory({ name: "news", direction: "receive-only" }))
    const notes = await tab.engine.replicate(memory())
    for (const name of ["more", "notes", "news"]) {
      if (name === "more") await tab.engine.replicate(memory({ name }))
      await holder.engine.replicate(memory({ name }))
      await other.engine.replicate(memory({ name }))
    }
    const wire = connect(time, [tab, holder])
    connect(time, [holder, other])
    await time.runFor(2_000)
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(tab.engine.synced())
    await time.runFor(2_000)
    const asked = wire.sent.flat().filter((frame) => frame.type === "synced-want")
    expect([outcome.is, asked.map(({ over, slots }) => [over, slots.length])]).toEqual([
      "synced",
      [
        [false, 2],
        [true, 0],
      ],
    ])
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

  test.each([
    ["and there is nobody else", []],
    ["whoever else it knows", ["other"]],
  ] as const)("that refuses an entry ends the wait, %s", async (_name, held) => {
    const { time, ...family } = createFamily()
    const notes = await family.tab.engine.replicate(memory())
    await family.holder.engine.replicate(refusing())
    await family.other.engine.replicate(memory())
    connect(time, [family.tab, family.holder])
    for (const name of held) connect(time, [family.holder, family[name]])
    await time.runFor(2_000)
    await notes.set("forbidden", { n: 1 })
    const waiting = [outcomeOf(notes.synced()), outcomeOf(notes.synced(patient()))]
    await time.runFor(5_000)
    expect(waiting.map(({ is }) => is)).toEqual(["refused", "refused"])
  })

  test("that refuses an entry ends no wait while another device takes it", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(refusing())
    await other.engine.replicate(slow(time, 3_000))
    connect(time, [tab, holder])
    connect(time, [tab, other])
    await time.runFor(2_000)
    await notes.set("forbidden", { n: 1 })
    const outcome = outcomeOf(notes.synced())
    await time.runFor(2_000)
    expect(outcome.is).toBe("open")
    await time.runFor(5_000)
    expect(outcome.is).toBe("synced")
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

  test("makes nothing durable elsewhere when it only receives", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(memory({ direction: "receive-only" }))
    await other.engine.replicate(memory())
    connect(time, [tab, holder])
    connect(time, [holder, other])
    await time.runFor(2_000)
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(notes.synced())
    await time.runFor(60_000)
    expect(outcome.is).toBe("no-peers")
  })

  test("may close its replica while it is asked, and is asked again when it has it anew", async () => {
    for (let gapMs = 0; gapMs < 60; gapMs += 5) {
      const { time, tab, holder, other } = createFamily()
      const notes = await tab.engine.replicate(memory())
      const { replica, host } = hosted()
      await holder.engine.replicate(replica)
      await other.engine.replicate(memory())
      connect(time, [tab, holder])
      connect(time, [holder, other])
      await time.runFor(2_000)
      await notes.set("k", { n: 1 })
      const outcome = outcomeOf(notes.synced(patient()))
      await time.runFor(gapMs)
      host().released()
      await time.runFor(1_000)
      await holder.engine.replicate(replica)
      await time.runFor(10_000)
      expect([gapMs, outcome.is]).toEqual([gapMs, "synced"])
    }
  })

  test("does not speak of the data that its replica held before", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    const { replica, host } = hosted()
    await holder.engine.replicate(replica)
    const theirs = await other.engine.replicate(memory())
    connect(time, [tab, holder])
    await time.runFor(2_000)
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(notes.synced(patient()))
    await time.runFor(2_000)
    host().released()
    connect(time, [holder, other], { delayMs: 1 })
    await time.runFor(100)
    await holder.engine.replicate(memory())
    while (outcome.is === "open" && time.now < 20_000) await time.runFor(1)
    expect([outcome.is, theirs.get("k")]).toEqual(["synced", { n: 1 }])
  })

  test("that is alone, or knows but who refuses, does not speak for the own links of who asks", async () => {
    for (const [key, delayMs] of [
      ["k", 45_000],
      ["forbidden", 10_000],
    ] as const) {
      const { time, tab, holder, other, third } = createFamily()
      const notes = await tab.engine.replicate(memory())
      await holder.engine.replicate(memory())
      await other.engine.replicate(slow(time, delayMs))
      await third.engine.replicate(refusing())
      connect(time, [tab, holder])
      connect(time, [tab, other])
      if (key === "forbidden") connect(time, [holder, third])
      await time.runFor(2_000)
      await notes.set(key, { n: 1 })
      const outcome = outcomeOf(notes.synced())
      await time.runFor(60_000)
      expect([key, outcome.is]).toEqual([key, "synced"])
    }
  })

  test("is asked once it has links, although it said that it has none", async () => {
    const { time, tab, holder, other, third } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(memory())
    await other.engine.replicate(slow(time, 300_000))
    await third.engine.replicate(memory())
    connect(time, [tab, holder])
    connect(time, [tab, other])
    await time.runFor(2_000)
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(notes.synced())
    await time.runFor(40_000)
    expect(outcome.is).toBe("open")
    connect(time, [holder, third])
    await time.runFor(5_000)
    expect(outcome.is).toBe("synced")
  })

  test("answers for the entries that are waited for, whatever becomes of others", async () => {
    const { time, tab, holder, other } = createFamily()
    const { replica, host } = hosted()
    const notes = await tab.engine.replicate(replica)
    await holder.engine.replicate(memory())
    await other.engine.replicate(refusing())
    connect(time, [tab, holder])
    connect(time, [holder, other])
    await time.runFor(2_000)
    await notes.set("forbidden", { n: 1 })
    await notes.set("k", { n: 1 })
    const outcomes = [["k"], ["forbidden"]].map((keys) => outcomeOf(host().synced({ keys })))
    await time.runFor(20_000)
    expect(outcomes.map(({ is }) => is)).toEqual(["synced", "refused"])
  })

  test("may have replicas of its own that nobody else has, and a storage that fails", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    await holder.engine.replicate(meddled(() => ({ flush: () => Promise.reject(new Error("disk")) })))
    await holder.engine.replicate(memory({ name: "more" }))
    await other.engine.replicate(memory())
    connect(time, [tab, holder])
    connect(time, [holder, other])
    await notes.set("k", { n: 1 })
    const outcome = outcomeOf(tab.engine.synced())
    await time.runFor(5_000)
    expect(outcome.is).toBe("synced")
  })

  test("is asked whatever number was given up before, or is no number", async () => {
    const { time, tab, holder, other } = createFamily()
    const notes = await tab.engine.replicate(memory())
    const more = await tab.engine.replicate(memory({ name: "more" }))
    for (const name of ["more", "notes"]) await holder.engine.replicate(memory({ name }))
    await other.engine.replicate(memory())
    const wire = connect(time, [tab, holder])
    connect(time, [holder, other])
    await time.runFor(2_000)
    for (let n = 0; n < 1_100; n++) {
      const given = new AbortController()
      const outcome = outcomeOf(more.synced({ signal: given.signal }))
      await time.runFor(1)
      given.abort()
      await time.runFor(0)
      expect(outcome.is).not.toBe("open")
    }
    for (const peers of [Number.POSITIVE_INFINITY, Number.NaN, 2 ** 60, 1.5])
      outcomeOf(notes.synced({ peers, ...patient() }))
    const outcome = outcomeOf(notes.synced())
    await time.runFor(5_000)
    expect([outcome.is, wire.closings]).toEqual(["synced", []])
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
