import { sha256 } from "@noble/hashes/sha2.js"
import { describe, expect, test } from "vitest"
import type {
  AttachedReplica,
  EntryChange,
  Incoming,
  JoinOutcome,
  Replica,
  ReplicaHost,
  ReplicaReport,
} from "../ports/replica.ts"
import { createState } from "../ports/state.ts"
import { createKeyedDigest } from "../protocol/keyed-digest.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { encodeUtf8 } from "../protocol/utf8.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { type JoinResult, type SharedReplica, shareReplica, type Transition } from "./shared-replica.ts"

const digests = createKeyedDigest(new Uint8Array(32).fill(1))
const hashOf = (value: string): Uint8Array => sha256(encodeUtf8(value))
const peer = { session: "aa", device: "bb" }

/** A replica whose joins the test answers by hand. */
function createScripted() {
  const calls: {
    readonly entries: readonly Incoming[]
    answer(outcomes: readonly JoinOutcome[]): void
    fail(error: Error): void
  }[] = []
  const script = {
    calls,
    host: null as Pick<ReplicaHost, "changed"> | null,
    pages: [] as { key: string; stateHash: Uint8Array | null }[],
    whileScanning: (): void => {},
    detached: 0,
  }
  const attached: Partial<AttachedReplica> = {
    handle: null,
    async *scan() {
      script.whileScanning()
      script.whileScanning = () => {}
      yield { entries: script.pages, cursor: Uint8Array.of(1) }
    },
    loadIndex: async () => null,
    saveIndex: async () => {},
    join: (entries) =>
      new Promise((resolve, reject) => {
        calls.push({ entries, answer: resolve, fail: reject })
      }),
    detach: async () => void script.detached++,
  }
  const replica: Replica = {
    name: "scripted",
    kind: 1,
    schemaTag: "",
    direction: "both",
    attach: async (host) => {
      script.host = host
      return attached as AttachedReplica
    },
  }
  return { script, replica }
}

async function share() {
  const { script, replica } = createScripted()
  const locals: Transition[] = []
  const results: JoinResult[] = []
  const reports: ReplicaReport[] = []
  const order: ("local" | "join")[] = []
  const time = createSimulatedTime()
  const open = (): Promise<SharedReplica> =>
    shareReplica({
      slot: 0,
      replica,
      digests,
      clock: time.clock(),
      host: {
        roomTag: new Uint8Array(32),
        device: "",
        report: (report) => void reports.push(report),
        released: () => {},
        synced: async () => {},
        links: createState(new Map()),
      },
      onLocal(transitions) {
        locals.push(...transitions)
        order.push("local")
      },
      onBatch: () => {},
    })
  const join = (shared: SharedReplica, key: string): void =>
    shared.join({
      peer,
      key,
      position: digests.position(key),
      delta: new Uint8Array(1),
      settle(result) {
        results.push(result)
        order.push("join")
      },
    })
  return { script, open, locals, results, reports, order, join, time }
}

const settled = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })
const local = (key: string, before: string | null, after: string): EntryChange => ({
  key,
  before: before === null ? null : hashOf(before),
  stateHash: hashOf(after),
  delta: encodeUtf8(after),
})
const joined = (before: string | null, after: string): JoinOutcome => ({
  type: "joined",
  changed: before !== after,
  before: before === null ? null : hashOf(before),
  stateHash: hashOf(after),
  senderLacks: null,
})
function holds(shared: SharedReplica, key: string, value: string): boolean {
  const held = shared.index.get(digests.position(key))?.digest
  return held !== undefined && sameBytes(held, digests.digest(1, key, hashOf(value)))
}

describe("a key that peers would not take", () => {
  for (const [what, key] of [
    ["too long", "k".repeat(4_097)],
    ["no text", "\ud83d"],
  ] as const) {
    test(`because it is ${what} is reported and left out, at the start and later`, async () => {
      const { script, open, locals, reports } = await share()
      script.pages.push({ key, stateHash: hashOf("old") }, { key: "fine", stateHash: hashOf("old") })
      const shared = await open()
      expect([shared.index.count, reports]).toMatchObject([1, [{ type: "quarantined", key }]])
      script.host?.changed([local(key, null, "new"), local("also fine", null, "new")])
      expect([shared.index.count, locals.map(({ key: sent }) => sent)]).toEqual([2, ["also fine"]])
      expect(reports).toHaveLength(2)
      await shared.close()
    })
  }
})

test("a replica gets what came of an entry and nothing of the room's, so that it can pass it to a worker", async () => {
  const { script, open, join } = await share()
  const shared = await open()
  join(shared, "k")
  await settled()
  expect(structuredClone(script.calls[0]?.entries)).toEqual([{ key: "k", delta: new Uint8Array(1) }])
  script.calls[0]?.answer([joined(null, "joined")])
  await shared.close()
})

describe("entries of a first sync", () => {
  const many = Array.from({ length: 200 }, (_, n) => `many-${n}`)
  const answer = (entries: readonly Incoming[]): JoinOutcome[] =>
    entries.map(({ key }) => joined(null, `of ${key}`))

  test("that come at once are one batch; after a large one they gather for a moment", async () => {
    const { script, open, results, join, time } = await share()
    const shared = await open()
    for (const key of many) join(shared, key)
    await settled()
    expect(script.calls.map(({ entries }) => entries.length)).toEqual([200])
    script.calls[0]?.answer(answer(script.calls[0].entries))
    await settled()
    expect([results.length, shared.joining]).toEqual([200, 0])
    join(shared, "later")
    await settled()
    join(shared, "last")
    expect([script.calls.length, shared.joining]).toEqual([1, 2])
    await time.runFor(5)
    expect(script.calls.at(1)?.entries.map(({ key }) => key)).toEqual(["later", "last"])
    script.calls[1]?.answer(answer(script.calls[1].entries))
    await settled()
    // A few at a time wait for nothing.
    join(shared, "typed")
    await settled()
    expect(script.calls).toHaveLength(3)
    script.calls[2]?.answer(answer(script.calls[2].entries))
    await shared.close()
  })

  test("are not looked for by a room that closes before they are begun", async () => {
    const { script, open, results, join } = await share()
    const shared = await open()
    join(shared, "came")
    await shared.close()
    expect([script.calls.length, results]).toMatchObject([0, [{ type: "failed" }]])
  })

  test("gather on while many come, but not for long", async () => {
    const { script, open, join, time } = await share()
    const shared = await open()
    for (const key of many) join(shared, key)
    await settled()
    for (const call of script.calls.splice(0)) call.answer(answer(call.entries))
    await settled()
    // Each time too few to be enough by themselves.
    for (let moment = 1; moment <= 8; moment++) {
      expect(script.calls).toEqual([])
      for (const key of many.slice(0, 100)) join(shared, `${moment} ${key}`)
      await time.runFor(5)
    }
    expect(script.calls.map(({ entries }) => entries.length)).toEqual([8 * 100])
    for (const call of script.calls.splice(0)) call.answer(answer(call.entries))
    await shared.close()
  })

  test("wait no longer once there are enough, and not for a room that closes", async () => {
    const { script, open, results, join } = await share()
    const shared = await open()
    for (const key of many) join(shared, key)
    await settled()
    for (const call of script.calls.splice(0)) call.answer(answer(call.entries))
    await settled()
    for (let n = 0; n < 1_024; n++) join(shared, `enough-${n}`)
    await settled()
    expect(script.calls.map(({ entries }) => entries.length)).toEqual([1_024])
    for (const call of script.calls.splice(0)) call.answer(answer(call.entries))
    await settled()
    join(shared, "too late")
    await shared.close()
    expect(results.at(-1)).toMatchObject({ type: "failed" })
  })
})

describe("a local change reported while a join of the same key runs", () => {
  test("comes first when the join was made upon it", async () => {
    const { script, open, locals, results, order, join } = await share()
    const shared = await open()
    join(shared, "k")
    await settled()
    script.host?.changed([local("k", null, "mine")])
    expect(locals).toEqual([])
    script.calls[0]?.answer([joined("mine", "both")])
    await settled()
    expect(holds(shared, "k", "both")).toBe(true)
    expect(locals).toMatchObject([{ before: null, after: digests.digest(1, "k", hashOf("mine")) }])
    expect(results).toMatchObject([{ transition: { before: digests.digest(1, "k", hashOf("mine")) } }])
    expect(order).toEqual(["local", "join"])
  })

  test("is in the index once flush() resolves", async () => {
    const { script, open, locals, join } = await share()
    const shared = await open()
    join(shared, "k")
    await settled()
    script.host?.changed([local("k", null, "mine")])
    let flushed = false
    void shared.flush().then(() => (flushed = true))
    await settled()
    expect([flushed, locals.length]).toEqual([false, 0])
    script.calls[0]?.answer([joined("mine", "both")])
    await settled()
    expect([flushed, locals.length]).toEqual([true, 1])
  })

  test("comes last when it was made upon the join", async () => {
    const { script, open, locals, join } = await share()
    const shared = await open()
    join(shared, "k")
    await settled()
    script.host?.changed([local("k", "theirs", "mine")])
    script.calls[0]?.answer([joined(null, "theirs")])
    await settled()
    expect(holds(shared, "k", "mine")).toBe(true)
    expect(locals).toMatchObject([
      { before: digests.digest(1, "k", hashOf("theirs")), delta: encodeUtf8("mine") },
    ])
  })

  test("and another behind it stay in their order around the join", async () => {
    const { script, open, locals, join } = await share()
    const shared = await open()
    join(shared, "k")
    await settled()
    script.host?.changed([local("k", null, "one"), local("k", "both", "two")])
    script.calls[0]?.answer([joined("one", "both")])
    await settled()
    expect(holds(shared, "k", "two")).toBe(true)
    expect(locals).toHaveLength(2)
  })

  test("is not held up for other keys, nor lost when the join fails", async () => {
    const { script, open, locals, results, join } = await share()
    const shared = await open()
    join(shared, "k")
    await settled()
    script.host?.changed([local("other", null, "x"), local("k", null, "mine")])
    expect(locals.map(({ key }) => key)).toEqual(["other"])
    script.calls[0]?.fail(new Error("the disk is full"))
    await settled()
    expect(holds(shared, "k", "mine")).toBe(true)
    expect(results).toMatchObject([{ type: "failed" }])
  })
})

describe("a delta", () => {
  test("goes along only when the change began where the index is", async () => {
    const { script, open, locals } = await share()
    await open()
    script.host?.changed([local("k", null, "one")])
    script.host?.changed([local("k", "something else", "two")])
    expect(locals.map(({ delta }) => delta !== undefined)).toEqual([true, false])
  })

  test("of a change that changes nothing is told to nobody", async () => {
    const { script, open, locals } = await share()
    await open()
    script.host?.changed([local("k", null, "one")])
    script.host?.changed([local("k", null, "one")])
    expect(locals).toHaveLength(1)
  })
})

describe("changes reported before the index is there", () => {
  test("count, however many they are", async () => {
    const { script, open } = await share()
    script.pages = [{ key: "k0", stateHash: hashOf("old") }]
    const change = { key: "k0", before: hashOf("old"), stateHash: hashOf("new") }
    script.whileScanning = () => script.host?.changed(Array.from({ length: 130_000 }, () => change))
    const shared = await open()
    expect([shared.index.count, holds(shared, "k0", "new")]).toEqual([1, true])
  })
})

describe("joins", () => {
  test("run one batch at a time, of one peer each, in the order they came", async () => {
    const { script, open, join } = await share()
    const shared = await open()
    for (const key of ["a", "b"]) join(shared, key)
    shared.join({
      peer: { session: "cc", device: "dd" },
      key: "c",
      position: digests.position("c"),
      delta: new Uint8Array(1),
      settle: () => {},
    })
    await settled()
    const keys = (): string[][] => script.calls.map(({ entries }) => entries.map(({ key }) => key))
    expect(keys().flat()).not.toContain("c")
    for (let at = 0; at < 3; at++) {
      const call = script.calls[at]
      call?.answer(call.entries.map(() => joined(null, "x")))
      await settled()
    }
    expect(keys().flat()).toEqual(["a", "b", "c"])
  })

  test("are each settled, whatever the replica answers", async () => {
    const answers: (readonly JoinOutcome[])[] = [
      [],
      [joined(null, "x"), joined(null, "x")],
      [{ type: "joined", changed: true, before: null, stateHash: new Uint8Array(3), senderLacks: null }],
    ]
    for (const answer of answers) {
      const { script, open, results, join } = await share()
      const shared = await open()
      join(shared, "k")
      await settled()
      script.calls[0]?.answer(answer)
      await settled()
      expect(results).toMatchObject([{ type: "failed" }])
      join(shared, "k")
      await settled()
      script.calls[1]?.answer([joined(null, "fine")])
      await settled()
      expect(results).toHaveLength(2)
      expect(holds(shared, "k", "fine")).toBe(true)
    }
  })

  test("that wait when the replica closes fail, and later ones too", async () => {
    const { script, open, results, join } = await share()
    const shared = await open()
    join(shared, "running")
    await settled()
    join(shared, "waiting")
    const closing = shared.close()
    expect(results).toMatchObject([{ type: "failed" }])
    script.calls[0]?.answer([joined(null, "x")])
    await closing
    join(shared, "late")
    expect(results.map(({ type }) => type)).toEqual(["failed", "outcome", "failed"])
    await shared.close()
    expect(script.detached).toBe(1)
  })
})
