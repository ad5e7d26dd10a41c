import { describe, expect, test } from "vitest"
import {
  announceNotes,
  connect,
  createNode,
  DIGEST_KEY,
  meddled,
  memory,
  type Node,
  refusing,
} from "../../test/simulated-engines.ts"
import vectors from "../../vectors/frames.json" with { type: "json" }
import type { Replica } from "../ports/replica.ts"
import type { DataFrame, Frame } from "../protocol/frame.ts"
import { encodeFrame } from "../protocol/frame-codec.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { createKeyedDigest } from "../protocol/keyed-digest.ts"
import { MAX_ENTRY_BYTES, MAX_UNACKNOWLEDGED } from "../protocol/limits.ts"
import { decodeMessage, encodeMessage, type Lane, laneOf } from "../protocol/message.ts"
import type { MemoryCollection } from "../testing/memory-replica.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"
import type { PresenceSigner } from "./presence-relay.ts"

/** For rooms in which nobody forges anything. */
const credulous: PresenceSigner = { sign: async () => new Uint8Array(64), verify: async () => true }

type CreditFrame = Extract<Frame, { type: "credit" }>

/** A link whose far side the test writes by hand. */
function hostileLink(
  node: Node,
  {
    buffered = 0,
    byte = 0xee,
    maxMessageBytes = 65_536,
  }: { readonly buffered?: number; readonly byte?: number; readonly maxMessageBytes?: number } = {},
): {
  /** Each frame in a message of its own, on its lane. */
  say(...frames: Frame[]): void
  message(lane: Lane, bytes: Uint8Array): void
  readonly heard: Frame[]
  readonly closed: string[]
} {
  const heard: Frame[] = []
  const closed: string[] = []
  const session = bytesToHex(new Uint8Array(16).fill(byte))
  const input = node.engine.addLink({
    session,
    device: "ff".repeat(32),
    role: "writer",
    maxMessageBytes,
    send: (_lane, message) => void heard.push(...decodeMessage(message).map(({ frame }) => frame)),
    buffered: () => buffered,
    close: (reason) => void closed.push(reason),
  })
  return {
    say(...frames) {
      for (const frame of frames) input.message(laneOf(frame.type), encodeMessage([encodeFrame(frame)]))
    },
    message: (lane, bytes) => input.message(lane, bytes),
    heard,
    closed,
  }
}

const hello: Frame = {
  type: "hello",
  version: 1,
  session: new Uint8Array(16).fill(0xee),
  maxMessageBytes: 65_536,
  refusesEntries: false,
}

const pushed: Frame = {
  type: "push",
  slot: 0,
  kind: 0,
  key: "k",
  before: new Uint8Array(8),
  after: new Uint8Array(8).fill(1),
  delta: new Uint8Array(3),
}

describe("a peer that breaks the protocol", () => {
  const cases: readonly [string, readonly Frame[]][] = [
    ["speaks before HELLO", [{ type: "ping", nonce: 1 }]],
    ["says HELLO twice", [hello, hello]],
    ["says HELLO for somebody else", [{ ...hello, session: new Uint8Array(16) }]],
    ["names a slot that it never announced", [hello, { type: "prune", slot: 4 }]],
    ["pushes an entry of a replica that it never announced", [hello, announceNotes, { ...pushed, slot: 4 }]],
    ["sends an entry of another kind", [hello, announceNotes, { ...pushed, kind: 2 }]],
    ["acknowledges what it never got", [hello, { type: "ack", control: 1, bulk: 0 }]],
    [
      "asks what only another session of this device may",
      [hello, { type: "synced-want", nonce: 1, over: false, slots: [0], positions: [] }],
    ],
  ]
  for (const [does, frames] of cases) {
    test(`and ${does} loses its link, and nothing is left of it`, async () => {
      const time = createSimulatedTime()
      const node = createNode(time, "honest")
      await node.engine.replicate(memory())
      const { say, closed } = hostileLink(node)
      say(...frames)
      expect(closed).toHaveLength(1)
      expect(closed[0]).toContain("protocol violation")
      expect(node.told).toContain("violation protocol-violation")
      await time.runFor(2_000)
      expect(node.engine.links.get().size).toBe(0)
      await node.engine.close()
      expect(time.pending).toBe(0)
    })
  }

  for (const { name, lane, bytes, error } of vectors.lanes) {
    test(`${error === null ? "is not one that sends" : "and sends"} ${name}`, async () => {
      const time = createSimulatedTime()
      const node = createNode(time, "honest")
      await node.engine.replicate(memory())
      const { say, message, closed } = hostileLink(node)
      say(hello, announceNotes)
      const repeated = typeof bytes === "string" ? { head: bytes, byte: "", times: 0, tail: "" } : bytes
      const { head, byte, times, tail } = repeated
      message(lane as Lane, hexToBytes(head + byte.repeat(times) + tail))
      await time.runFor(100)
      expect(closed.length).toBe(error === null ? 0 : 1)
      expect(node.told.filter((told) => told.startsWith("violation"))).toEqual(
        error === null ? [] : [`violation ${error}`],
      )
      await node.engine.close()
    })
  }

  test("and sends longer messages than this side's HELLO allowed", () => {
    for (const more of [0, 1]) {
      const node = createNode(createSimulatedTime(), "honest")
      const { say, message, heard, closed } = hostileLink(node, { maxMessageBytes: 20_000 })
      expect(heard[0]).toMatchObject({ type: "hello", maxMessageBytes: 20_000 })
      say(hello, announceNotes)
      const head = { type: "data", slot: 0, kind: 0, key: "k", digest: new Uint8Array(8) } as const
      const frame = encodeFrame({ ...head, delta: new Uint8Array(19_984 + more) })
      const bytes = encodeMessage([frame])
      expect(bytes.length).toBe(20_000 + more)
      message("bulk", bytes)
      expect(closed.length).toBe(more)
    }
  })

  test("is not one whose entries overtake the announcement of a replica that it opened again", async () => {
    const time = createSimulatedTime()
    const [honest, author] = [createNode(time, "honest"), createNode(time, "author")]
    const notes = await honest.engine.replicate(memory())
    const theirs = await author.engine.replicate(memory())
    await theirs.set("k", { n: 1 })
    const other = hostileLink(author)
    const { say, heard, closed } = hostileLink(honest)
    other.say(hello, announceNotes)
    other.say({
      type: "want",
      slot: 0,
      items: [{ position: createKeyedDigest(DIGEST_KEY).position("k"), summary: new Uint8Array(0) }],
    })
    await time.runFor(100)
    const [data] = other.heard.filter((frame) => frame.type === "data")
    say(hello, announceNotes, { type: "withdraw", slot: 0 }, { ...(data as DataFrame), slot: 1 })
    await time.runFor(1_000)
    expect([closed, notes.get("k"), heard.filter(({ type }) => type === "ack")]).toEqual([[], null, []])
    say({ ...announceNotes, slot: 1 })
    await time.runFor(1_000)
    expect([closed, notes.get("k")]).toEqual([[], { n: 1 }])
    expect(heard).toContainEqual({ type: "ack", control: 0, bulk: 1 })
  })

  test("and sends nonsense loses it likewise", () => {
    const node = createNode(createSimulatedTime(), "honest")
    const { closed } = hostileLink(node)
    const input = node.engine.addLink({
      session: "dd".repeat(16),
      device: "dd".repeat(32),
      role: "writer",
      maxMessageBytes: 65_536,
      send: () => {},
      buffered: () => 0,
      close: (reason) => void closed.push(reason),
    })
    input.message("bulk", Uint8Array.of(5, 1, 2))
    input.message("bulk", Uint8Array.of(5, 1, 2))
    expect(closed).toHaveLength(1)
  })

  test("and asks without ever reading is let go before it fills the memory", async () => {
    const time = createSimulatedTime()
    const node = createNode(time, "honest")
    const notes = await node.engine.replicate(memory())
    for (let n = 0; n < 200; n++) await notes.set(`k${n}`, { n })
    const { say, closed } = hostileLink(node, { buffered: 1_000_000 })
    say(hello, announceNotes)
    // "Of all your entries I list none", in two bytes each, and every one of them is answered at length.
    const records = new Uint8Array(8_000).map((_, at) => (at % 2 === 0 ? 0x30 : 0))
    let asked = 0
    const ask = (bytes: Uint8Array): void => {
      asked++
      say({ type: "range", slot: 0, salt: 1, sequence: asked, reply: false, grant: 65_536, records: bytes })
    }
    // While the lane is full, less is answered, so that an honest peer that asks for much at once does not lose its link.
    while (asked < 130) ask(records)
    expect(closed).toEqual([])
    while (closed.length === 0 && asked < 1_000) ask(records)
    expect(closed).toEqual(["the peer does not read"])
    await node.engine.close()
    expect(time.pending).toBe(0)
  })
})

describe("a peer that acknowledges nothing", () => {
  test("gets no more than is kept for it, however often it asks and whatever credit it gives", async () => {
    const time = createSimulatedTime()
    const node = createNode(time, "honest")
    const notes = await node.engine.replicate(memory())
    for (let n = 0; n < 500; n++) await notes.set(`k${n}`, { n })
    const { say, heard, closed } = hostileLink(node)
    say(hello, announceNotes, { type: "credit", total: 2 ** 50 })
    const digests = createKeyedDigest(DIGEST_KEY)
    const items = notes.keys.map((key) => ({ position: digests.position(key), summary: new Uint8Array() }))
    let sent = 0
    for (let asked = 0; asked < 400; asked++) {
      say({ type: "want", slot: 0, items })
      await time.runFor(50)
      sent += heard.splice(0).filter(({ type }) => type === "data").length
    }
    expect(sent).toBeGreaterThan(MAX_UNACKNOWLEDGED - 1)
    expect(sent).toBeLessThan(MAX_UNACKNOWLEDGED + 2_048)
    say({ type: "ack", control: 0, bulk: sent })
    await time.runFor(50)
    expect(heard.some(({ type }) => type === "data")).toBe(true)
    expect(closed).toEqual([])
    await node.engine.close()
  })
})

describe("a large entry that stalls", () => {
  const whole = encodeFrame({
    type: "data",
    slot: 1,
    kind: 0,
    key: "k",
    digest: new Uint8Array(8),
    delta: new Uint8Array(6_000_000),
  })
  const cases: readonly [string, number][] = [
    ["because no more of it comes", whole.length - 600_000],
    ["because its replica is never announced", whole.length],
  ]
  for (const [why, sent] of cases) {
    test(`${why} costs the link, so that others get the place`, async () => {
      const time = createSimulatedTime()
      const node = createNode(time, "honest")
      await node.engine.replicate(memory())
      const { say, closed } = hostileLink(node)
      say(hello, announceNotes)
      for (let at = 0; at < sent; at += 60_000)
        say({ type: "fragment", size: whole.length, bytes: whole.subarray(at, at + 60_000) })
      for (let at = 0; at < 50_000; at += 5_000) {
        await time.runFor(5_000)
        say({ type: "ping", nonce: 1 })
      }
      expect(closed).toEqual([])
      for (let at = 0; at < 30_000; at += 5_000) {
        await time.runFor(5_000)
        say({ type: "ping", nonce: 1 })
      }
      expect(closed).toEqual([expect.stringContaining("a large entry stalled")])
      await node.engine.close()
      expect(time.pending).toBe(0)
    })
  }

  test("in that it comes ever so slowly costs the link after half an hour, if somebody else waits for the place", async () => {
    for (const wish of ["none", "lasting", "withdrawn"]) {
      const isWanted = wish === "lasting"
      const time = createSimulatedTime()
      const node = createNode(time, "honest")
      await node.engine.replicate(memory())
      const slow = hostileLink(node)
      slow.say(hello, announceNotes)
      const other = hostileLink(node, { byte: 0xdd })
      other.say({ ...hello, session: new Uint8Array(16).fill(0xdd) }, announceNotes)
      const sender = ({ say, heard }: ReturnType<typeof hostileLink>) => {
        let [at, used] = [0, 0]
        /** False once there is no credit for it. */
        return (bytes: number): boolean => {
          const frame: Frame = { type: "fragment", size: whole.length, bytes: whole.subarray(at, at + bytes) }
          const credit = heard.findLast(({ type }) => type === "credit") as CreditFrame | undefined
          used += encodeFrame(frame).length
          if (used > (credit?.total ?? 2_097_152)) return false
          say(frame)
          at += bytes
          return at < whole.length
        }
      }
      const sendSlowly = sender(slow)
      for (let pieces = 0; pieces < 100; pieces++) sendSlowly(50_000)
      const sendOther = sender(other)
      while (wish !== "none" && sendOther(50_000)) {
        // Goes on until its credit is used up.
      }
      if (wish === "withdrawn") other.say({ type: "bye", reason: "away" })
      const credits = (): number => other.heard.filter(({ type }) => type === "credit").length
      const before = credits()
      for (let ms = 0; ms < 1_900_000 && slow.closed.length === 0; ms += 10_000) {
        await time.runFor(10_000)
        sendSlowly(512)
        for (const { say } of [slow, other]) say({ type: "ping", nonce: 1 })
        if (ms < 1_790_000) expect(slow.closed).toEqual([])
      }
      expect(slow.closed).toEqual(isWanted ? [expect.stringContaining("a large entry stalled")] : [])
      // The other gets the place, and with it the credit for the rest.
      expect(credits() > before).toBe(isWanted)
      await node.engine.close()
      expect(time.pending).toBe(0)
    }
  })
})

describe("a wanted entry that is also written here", () => {
  const wants = async (direction: "both" | "send-only"): Promise<number> => {
    const time = createSimulatedTime()
    const node = createNode(time, "honest")
    const notes = await node.engine.replicate(memory())
    const { say, heard } = hostileLink(node)
    say(hello, { ...announceNotes, direction })
    await time.runFor(3_000)
    const position = createKeyedDigest(DIGEST_KEY).position("k")
    say({ type: "have", slot: 0, items: [{ position, digest: new Uint8Array(8).fill(1) }] })
    await notes.set("k", { n: 1 })
    await time.runFor(1_000)
    await node.engine.close()
    return heard.filter(({ type }) => type === "want").length
  }

  test("is not asked for where the peer answers the write", async () => {
    expect(await wants("both")).toBe(0)
  })

  test("is asked for where the peer only sends", async () => {
    expect(await wants("send-only")).toBe(1)
  })
})

describe("an acknowledgement", () => {
  test("of a peer whose disk fails does not count as held by it", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    let failing = true
    await b.engine.replicate(
      meddled((attached) => ({
        join: async (entries, peer) => {
          if (failing) throw new Error("the disk is full")
          return attached.join(entries, peer)
        },
      })),
    )
    connect(time, [a, b])
    await time.runFor(3_000)
    await left.set("k", { n: 1 })
    let synced = false
    void left.synced({ signal: new AbortController().signal }).then(() => {
      synced = true
    })
    await time.runFor(20_000)
    expect([synced, a.told.includes("refused storage-failed by them")]).toEqual([false, true])
    failing = false
    await time.runFor(60_000)
    expect(synced).toBe(true)
  })

  test("comes once the entry is durable, and synced() with it", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    let durable = false
    const right = await b.engine.replicate(
      meddled((attached) => ({
        join: (entries, peer) =>
          new Promise((resolve) => {
            time.schedule(700, () => {
              durable = true
              resolve(attached.join(entries, peer))
            })
          }),
      })),
    )
    connect(time, [a, b])
    await time.runFor(3_000)
    await left.set("k", { n: 1 })
    let durableThen: boolean | null = null
    void left.synced().then(() => {
      durableThen = durable
    })
    await time.runFor(5_000)
    expect([durableThen, right.get("k")]).toEqual([true, { n: 1 }])
  })
})

describe("an entry that cannot be taken now", () => {
  const failing = (times: number): Replica<MemoryCollection> =>
    meddled(({ join }) => ({
      async join(entries, peer) {
        if (times-- > 0) throw new Error("the disk is full")
        return join(entries, peer)
      },
    }))

  test("comes again within seconds, although nobody writes", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    const right = await b.engine.replicate(failing(1))
    connect(time, [a, b])
    await time.runFor(3_000)
    await left.set("k", { n: 1 })
    await time.runFor(5_000)
    expect(right.get("k")).toEqual({ n: 1 })
  })

  test("is tried more and more seldom where that does not end", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    await b.engine.replicate(failing(Infinity))
    const wire = connect(time, [a, b])
    await time.runFor(3_000)
    await left.set("k", { n: 1 })
    const tries = (): number => wire.sent.flat().filter(({ type }) => type === "nak").length
    const triesIn = async (ms: number): Promise<number> => {
      const before = tries()
      await time.runFor(ms)
      return tries() - before
    }
    const early = await triesIn(60_000)
    await time.runFor(540_000)
    const late = await triesIn(60_000)
    expect(late).toBeGreaterThan(0)
    expect(late).toBeLessThan(early)
  })
})

describe("a comparison that the peer does not answer", () => {
  test("begins again after 30 s without an answer over the link, with another salt", async () => {
    const time = createSimulatedTime()
    const node = createNode(time, "initiator")
    const left = await node.engine.replicate(memory())
    await left.set("k", { n: 1 })
    const session = new Uint8Array(16).fill(0xff)
    const { say, heard } = hostileLink(node, { byte: 0xff })
    say({ ...hello, session }, { ...announceNotes, count: 500, root: new Uint8Array(16).fill(1) })
    const salts = (): number[] => heard.flatMap((frame) => (frame.type === "range" ? frame.salt : []))
    const stayFor = async (seconds: number, ...frames: Frame[]): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        say({ type: "ping", nonce: second }, ...frames)
        await time.runFor(1_000)
      }
    }
    await stayFor(28)
    expect(salts()).toHaveLength(1)
    // This answers another run: what the present one waits for may stand behind it.
    const late: Frame = {
      type: "range-ack",
      slot: 0,
      salt: 0,
      sequence: 9,
      answered: 0,
      later: false,
    }
    await stayFor(28, late)
    expect(salts()).toHaveLength(1)
    await stayFor(36)
    expect(new Set(salts()).size).toBe(2)
  })
})

describe("waiting for synced()", () => {
  test("ends after 30 s without anyone who could hold the data, such as with an incompatible peer alone", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    await b.engine.replicate(memory({ schemaTag: "other" }))
    connect(time, [a, b])
    await time.runFor(1_000)
    let failure: unknown = null
    void left.synced().catch((error: unknown) => {
      failure = error
    })
    await time.runFor(29_000)
    expect(failure).toBeNull()
    await time.runFor(5_000)
    expect(failure).toMatchObject({ code: "no-peers" })
  })

  test("does not count a peer that only sends", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    await b.engine.replicate(memory({ direction: "send-only" }))
    connect(time, [a, b])
    await left.set("k", { n: 1 })
    let outcome: unknown = null
    void left.synced().then(
      () => (outcome = "held"),
      (error: unknown) => (outcome = error),
    )
    await time.runFor(40_000)
    expect(outcome).toMatchObject({ code: "no-peers" })
  })

  test("does not take a responder's unequal roots for an end: the initiator may ask others for what differs", async () => {
    const time = createSimulatedTime()
    const node = createNode(time, "responder")
    const left = await node.engine.replicate(memory())
    await left.set("k", { n: 1 })
    const session = new Uint8Array(16)
    const { say } = hostileLink(node, { byte: 0 })
    say({ ...hello, session }, { ...announceNotes, count: 500, root: new Uint8Array(16).fill(1) })
    const unequal = { slot: 0, count: 500, root: new Uint8Array(16).fill(1), settled: true }
    let synced = false
    void left.synced({ signal: new AbortController().signal }).then(() => (synced = true))
    await time.runFor(1_000)
    say({ type: "root", roots: [{ ...unequal, answer: true, agreed: false }] })
    await time.runFor(1_000)
    expect(synced).toBe(false)
    say({ type: "root", roots: [{ ...unequal, answer: false, agreed: true }] })
    await time.runFor(1_000)
    expect(synced).toBe(true)
  })

  test("does not wait for a pause where an entry is refused and both sides type", async () => {
    for (const seed of ["one", "two", "three", "four"]) {
      const time = createSimulatedTime()
      const [a, b] = [createNode(time, `a ${seed}`), createNode(time, `b ${seed}`)]
      const notes = await a.engine.replicate(memory())
      const theirs = await b.engine.replicate(refusing())
      await notes.set("forbidden", {})
      await theirs.set("theirs", {})
      connect(time, [a, b])
      const { signal } = new AbortController()
      const synced: string[] = []
      void notes.synced({ signal }).catch(() => synced.push("a is refused one"))
      void theirs.synced({ signal }).then(() => synced.push("b"))
      for (let n = 0; n < 100; n++) {
        void notes.set(`typed by a, ${n % 20}`, { n })
        void theirs.set(`typed by b, ${n % 20}`, { n })
        await time.runFor(100)
      }
      expect(synced.toSorted()).toEqual(["a is refused one", "b"])
      for (const { engine } of [a, b]) await engine.close()
    }
  })

  test("rejects when who is there has refused an entry, and resolves for the others and once it is taken", async () => {
    const time = createSimulatedTime()
    const nodes = ["a", "b", "c"].map((name) => createNode(time, name)) as [Node, Node, Node]
    const [a, b, c] = nodes
    const notes = await a.engine.replicate(memory())
    await b.engine.replicate(refusing())
    await c.engine.replicate(memory())
    await notes.set("forbidden", {})
    await notes.set("allowed", {})
    connect(time, [a, b])
    const refused = expect(a.engine.synced()).rejects.toMatchObject({ name: "RoomError", code: "refused" })
    await time.runFor(20_000)
    await refused
    const ended: string[] = []
    void a.engine.synced().catch(() => ended.push("a is refused again"))
    void b.engine.synced().then(() => ended.push("b"))
    await time.runFor(5_000)
    expect(ended.toSorted()).toEqual(["a is refused again", "b"])
    connect(time, [a, c])
    await time.runFor(5_000)
    let synced = false
    void a.engine.synced().then(() => (synced = true))
    await time.runFor(5_000)
    expect(synced).toBe(true)
    for (const { engine } of nodes) await engine.close()
  })

  test("does not take a run for the end in which this disk failed: the peer was never answered", async () => {
    for (const seed of ["one", "two", "three", "four"]) {
      const time = createSimulatedTime()
      const a = createNode(time, `a ${seed}`)
      const b = createNode(time, `b ${seed}`)
      let failing = true
      const notes = await a.engine.replicate(
        meddled(({ join }) => ({
          join: (entries, peer) =>
            failing ? Promise.reject(new Error("the disk is full")) : join(entries, peer),
        })),
      )
      const theirs = await b.engine.replicate(memory())
      await notes.set("shared", { by: "a" })
      await theirs.set("shared", { by: "b" })
      let synced = false
      connect(time, [a, b])
      void a.engine.synced().then(() => (synced = true))
      await time.runFor(10_000)
      expect(synced).toBe(false)
      failing = false
      await time.runFor(60_000)
      expect(synced).toBe(true)
      await a.engine.close()
      await b.engine.close()
    }
  })

  test("is not kept from an end by what this side refused, and sends what is here of it", async () => {
    for (const seed of ["one", "two", "three", "four"]) {
      const time = createSimulatedTime()
      const a = createNode(time, `a ${seed}`)
      const b = createNode(time, `b ${seed}`)
      const notes = await a.engine.replicate(refusing())
      const theirs = await b.engine.replicate(memory())
      await notes.set("forbidden", { by: "a" })
      await theirs.set("forbidden", { by: "b" })
      let synced = false
      connect(time, [a, b])
      void a.engine.synced().then(() => (synced = true))
      await time.runFor(20_000)
      expect(theirs.state("forbidden")?.siblings).toHaveLength(2)
      expect(synced).toBe(true)
      await a.engine.close()
      await b.engine.close()
    }
  })

  test("covers a write that the replica has not reported yet", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    let write: (() => Promise<unknown>) | null = null
    const left = await a.engine.replicate(meddled(() => ({ flush: async () => void (await write?.()) })))
    const right = await b.engine.replicate(memory())
    connect(time, [a, b])
    await time.runFor(3_000)
    write = () => left.set("k", { n: 1 })
    let heldThen: unknown = null
    void left.synced().then(() => (heldThen = right.get("k")))
    await time.runFor(3_000)
    expect(heldThen).toEqual({ n: 1 })
  })

  test("rejects when such a write cannot be kept", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const flush = async (): Promise<void> => {
      throw new Error("the disk is full")
    }
    const left = await a.engine.replicate(meddled(() => ({ flush })))
    await b.engine.replicate(memory())
    connect(time, [a, b])
    await time.runFor(3_000)
    await expect(left.synced()).rejects.toThrow("the disk is full")
    await expect(a.engine.synced()).rejects.toThrow("the disk is full")
  })

  test("ends with the signal, and with the room", async () => {
    const time = createSimulatedTime()
    const a = createNode(time, "a")
    const left = await a.engine.replicate(memory())
    const abort = new AbortController()
    const aborted = left.synced({ signal: abort.signal })
    abort.abort(new Error("enough"))
    await expect(aborted).rejects.toThrow("enough")
    await expect(left.synced({ signal: abort.signal })).rejects.toThrow("enough")
    const open = a.engine.synced()
    const closing = a.engine.close()
    await expect(open).rejects.toMatchObject({ code: "closed" })
    await closing
    expect(time.pending).toBe(0)
  })
})

describe("a storage that fails to read", () => {
  /** With some of these seeds one side begins the comparison, with others the other. */
  const seeds = ["one", "two", "three", "four"]

  test("keeps synced() waiting, and the peer gets the entry once it can be read", async () => {
    for (const seed of seeds) {
      const time = createSimulatedTime()
      const [a, b] = [createNode(time, `a ${seed}`), createNode(time, `b ${seed}`)]
      let [failing, reads] = [true, 0]
      const notes = await a.engine.replicate(
        meddled(({ read }) => ({
          async read(requests, peer) {
            reads++
            if (failing) throw new Error("the disk is broken")
            return read(requests, peer)
          },
        })),
      )
      const theirs = await b.engine.replicate(memory())
      await notes.set("unread", { n: 1 })
      await theirs.set("theirs", { n: 1 })
      connect(time, [a, b])
      const { signal } = new AbortController()
      const synced: string[] = []
      void a.engine.synced({ signal }).then(() => synced.push("a"))
      void b.engine.synced({ signal }).then(() => synced.push("b"))
      await time.runFor(20_000)
      // What b has is stored at a, so b is right.
      expect(synced).toEqual(["b"])
      expect(a.engine.links.get().get(b.session)).toMatchObject({ stage: "live" })
      expect(a.engine.links.get().get(b.session)?.replicas.get("notes")?.pendingOut).toBeGreaterThan(0)
      expect(reads).toBeLessThan(15)
      failing = false
      await time.runFor(5_000)
      expect([synced, theirs.keys.toSorted()]).toEqual([
        ["b", "a"],
        ["theirs", "unread"],
      ])
      for (const { engine } of [a, b]) await engine.close()
    }
  })

  test("forgets none of many that it could not read", async () => {
    for (const seed of seeds) {
      const time = createSimulatedTime()
      const [a, b] = [createNode(time, `a ${seed}`), createNode(time, `b ${seed}`)]
      let failing = true
      const notes = await a.engine.replicate(
        meddled(({ read }) => ({
          read: (requests, peer) =>
            failing ? Promise.reject(new Error("the disk is broken")) : read(requests, peer),
        })),
      )
      const theirs = await b.engine.replicate(memory())
      for (let n = 0; n < 3_000; n++) await notes.set(`k${n}`, { n })
      connect(time, [a, b])
      await time.runFor(20_000)
      failing = false
      await time.runFor(8_000)
      expect(theirs.keys).toHaveLength(3_000)
      for (const { engine } of [a, b]) await engine.close()
    }
  })

  test("over one entry does not keep the others back", async () => {
    for (const seed of seeds) {
      const time = createSimulatedTime()
      const [a, b] = [createNode(time, `a ${seed}`), createNode(time, `b ${seed}`)]
      const notes = await a.engine.replicate(
        meddled(({ read }) => ({
          read: (requests, peer) =>
            requests.some(({ key }) => key === "k50")
              ? Promise.reject(new Error("a broken page"))
              : read(requests, peer),
        })),
      )
      const theirs = await b.engine.replicate(memory())
      for (let n = 0; n < 100; n++) await notes.set(`k${n}`, { n })
      connect(time, [a, b])
      await time.runFor(60_000)
      expect(theirs.keys).toHaveLength(99)
      for (const { engine } of [a, b]) await engine.close()
    }
  })
})

describe("an entry that stays on this device", () => {
  const refusedAt = (node: Node, peer: Node): number | undefined =>
    node.engine.links.get().get(peer.session)?.replicas.get("notes")?.refused

  test("since the peer does not take it, is counted until it changes", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const notes = await a.engine.replicate(memory())
    let strict = true
    await b.engine.replicate(
      meddled(({ join }) => ({
        join: async (entries, peer) =>
          strict ? entries.map(() => ({ type: "refused", reason: "no" })) : join(entries, peer),
      })),
    )
    await notes.set("k", { n: 1 })
    connect(time, [a, b])
    await time.runFor(5_000)
    expect([refusedAt(a, b), refusedAt(b, a)]).toEqual([1, 0])
    strict = false
    await notes.set("k", { n: 2 })
    await time.runFor(5_000)
    expect(refusedAt(a, b)).toBe(0)
    for (const { engine } of [a, b]) await engine.close()
  })

  test("since it is too large to be sent, is counted, and synced() tells of it", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    let tooLarge = true
    const notes = await a.engine.replicate(
      meddled(({ read }) => ({
        read: async (requests, peer) =>
          (await read(requests, peer)).map((outcome) =>
            outcome.type === "delta" && tooLarge
              ? { ...outcome, delta: new Uint8Array(MAX_ENTRY_BYTES + 1) }
              : outcome,
          ),
      })),
    )
    await b.engine.replicate(memory())
    await notes.set("k", { n: 1 })
    connect(time, [a, b])
    const refused = expect(a.engine.synced()).rejects.toMatchObject({ code: "refused" })
    await time.runFor(5_000)
    await refused
    expect([refusedAt(a, b), a.told.includes("refused entry-too-large by us")]).toEqual([1, true])
    tooLarge = false
    await notes.set("k", { n: 2 })
    await time.runFor(5_000)
    expect(refusedAt(a, b)).toBe(0)
    for (const { engine } of [a, b]) await engine.close()
  })
})

describe("a one-way replica", () => {
  for (const [how, roles, direction] of [
    ["by direction", ["writer", "writer"], "send-only"],
    ["by role", ["writer", "reader"], "both"],
  ] as const) {
    test(`carries entries one way only, ${how}`, async () => {
      const time = createSimulatedTime()
      const [a, b] = [createNode(time, "a"), createNode(time, "b")]
      const left = await a.engine.replicate(
        memory({ direction: how === "by role" ? "both" : "receive-only" }),
      )
      const right = await b.engine.replicate(memory({ direction }))
      await left.set("left", { n: 1 })
      await right.set("right", { n: 1 })
      connect(time, [a, b], { roles })
      await time.runFor(3_000)
      await left.set("left later", { n: 1 })
      await right.set("right later", { n: 1 })
      await time.runFor(20_000)
      expect(left.keys.toSorted()).toEqual(["left", "left later", "right", "right later"])
      expect(right.keys.toSorted()).toEqual(["right", "right later"])
      expect([...a.told, ...b.told].filter((line) => line.startsWith("violation"))).toEqual([])
    })
  }
})

test("what a link brought before it was lost goes on to the others once it is stored", async () => {
  const time = createSimulatedTime()
  let stored = (): void => {}
  const slow = meddled((attached) => ({
    async join(entries, peer) {
      await new Promise<void>((resolve) => (stored = resolve))
      return attached.join(entries, peer)
    },
  }))
  const [a, b, c] = [createNode(time, "a"), createNode(time, "b"), createNode(time, "c")]
  const [left, right] = [await b.engine.replicate(memory()), await c.engine.replicate(memory())]
  await a.engine.replicate(slow)
  connect(time, [a, c])
  const lost = connect(time, [a, b])
  await time.runFor(1_000)
  await left.set("k", { n: 1 })
  await time.runFor(100)
  lost.cut()
  await time.runFor(3_000)
  expect(right.keys).toEqual([])
  stored()
  await time.runFor(1_500)
  expect(right.keys).toEqual(["k"])
})

describe("presence", () => {
  const value = (length: number): Uint8Array => new Uint8Array(length)

  test("is said at once on a new link, even that there is none: others may have relayed what was", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    connect(time, [a, b])
    await time.runFor(1_000)
    expect(b.told).toContain("presence none")
  })

  test("of a peer whose link is lost comes by way of others within seconds, each time", async () => {
    const time = createSimulatedTime()
    const [a, b, c] = [
      createNode(time, "a", { signer: credulous }),
      createNode(time, "b", { signer: credulous }),
      createNode(time, "c", { signer: credulous }),
    ]
    connect(time, [a, c])
    connect(time, [b, c])
    b.engine.setPresence(value(7))
    for (let round = 0; round < 3; round++) {
      const direct = connect(time, [a, b])
      await time.runFor(3_000)
      expect(a.told.findLast((line) => line !== "presence none")).toBe("presence 7")
      direct.cut()
      expect(a.told.at(-1)).toBe("presence none")
      await time.runFor(3_000)
      expect(a.told.at(-1)).toBe("presence 7")
    }
  })

  test("goes out at most ten times a second, the last value always", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const wire = connect(time, [a, b])
    await time.runFor(1_000)
    for (let n = 1; n <= 100; n++) {
      a.engine.setPresence(value(n))
      await time.runFor(10)
    }
    await time.runFor(1_000)
    // The first says that there is no presence.
    const sent = wire.sent[0].filter(({ type }) => type === "presence").slice(1)
    expect(sent.length).toBeGreaterThan(5)
    expect(sent.length).toBeLessThanOrEqual(11)
    expect(b.told.at(-1)).toBe("presence 100")
  })

  test("reaches a peer that did not keep up once it does, and one that comes later at once", async () => {
    const time = createSimulatedTime()
    const [a, b, c] = [createNode(time, "a"), createNode(time, "b"), createNode(time, "c")]
    const wire = connect(time, [a, b])
    await time.runFor(1_000)
    wire.buffered = 1_000_000
    a.engine.setPresence(value(7))
    await time.runFor(1_000)
    expect(b.told).not.toContain("presence 7")
    wire.buffered = 0
    await time.runFor(20_000)
    expect(b.told).toContain("presence 7")
    connect(time, [a, c])
    await time.runFor(100)
    expect(c.told).toContain("presence 7")
    wire.cut()
    expect(b.told.at(-1)).toBe("presence none")
  })
})

describe("closing", () => {
  /** A replica that takes this long to open its store, whatever the signal says. */
  const slow = (time: SimulatedTime, attachMs: number): Replica => {
    const replica = memory()
    return {
      ...replica,
      async attach(host) {
        await new Promise<void>((resolve) => time.schedule(attachMs, resolve))
        return replica.attach(host)
      },
    }
  }

  test("waits for a replica that is still attaching, so that its store is free, but not for ever", async () => {
    for (const [attachMs, closesAfterMs] of [
      [2_000, 2_000],
      [60_000, 5_000],
    ] as const) {
      const time = createSimulatedTime()
      const node = createNode(time, "a")
      const attaching = node.engine.replicate(slow(time, attachMs))
      let refusedAt = Number.POSITIVE_INFINITY
      attaching.catch(() => (refusedAt = time.now))
      await time.runFor(10)
      let closedAt = 0
      void node.engine.close().then(() => (closedAt = time.now))
      const startedAt = time.now - 10
      await time.runFor(70_000)
      // The caller of `replicate` hears at once, even if the replica never answers.
      expect(refusedAt - startedAt).toBeLessThanOrEqual(10)
      expect(closedAt - startedAt).toBeGreaterThanOrEqual(closesAfterMs - 10)
      expect(closedAt - startedAt).toBeLessThan(closesAfterMs + 500)
      await expect(attaching).rejects.toMatchObject({ code: "closed" })
      expect(time.pending).toBe(0)
    }
  })

  test("says BYE, leaves no timer, and takes no new link", async () => {
    const time = createSimulatedTime()
    const [a, b] = [createNode(time, "a"), createNode(time, "b")]
    const left = await a.engine.replicate(memory())
    await b.engine.replicate(memory())
    const wire = connect(time, [a, b])
    await left.set("k", { n: 1 })
    await time.runFor(500)
    await a.engine.close()
    await a.engine.close()
    expect(wire.sent[0].at(-1)).toEqual({ type: "bye", reason: "the room was closed" })
    await time.runFor(1_000)
    expect(b.engine.links.get().size).toBe(0)
    await b.engine.close()
    expect(time.pending).toBe(0)
    const { closed, heard } = hostileLink(a)
    expect([closed, heard, time.pending]).toEqual([["the room was closed"], [], 0])
    await expect(a.engine.replicate(memory({ name: "late" }))).rejects.toMatchObject({ code: "closed" })
  })

  test("is not kept up by a replica that cannot detach, and tells of it", async () => {
    const a = createNode(createSimulatedTime(), "a")
    await a.engine.replicate(
      meddled(() => ({
        detach: async () => {
          throw new Error("no")
        },
      })),
    )
    await a.engine.close()
    expect(a.told).toContain("report warning")
  })
})

describe("going live", () => {
  test("is not what a side tells that still waits for its turn to compare", async () => {
    const time = createSimulatedTime()
    const node = createNode(time, "initiator")
    expect(node.session < "ee").toBe(true)
    await node.engine.replicate(memory())
    const notes = { type: "announce", slot: 0, name: "notes", kind: 0, schemaTag: "1" } as const
    const state = { direction: "both", count: 500, root: new Uint8Array(16).fill(1), basis: null } as const
    const busy = hostileLink(node)
    busy.say(hello, { ...notes, ...state })
    const waiting = hostileLink(node, { byte: 0xef })
    waiting.say({ ...hello, session: new Uint8Array(16).fill(0xef) }, { ...notes, ...state })
    for (let second = 0; second < 25; second++) {
      // It keeps its place by answering on and on, and never comes to an end.
      const request = busy.heard.findLast((frame) => frame.type === "range")
      if (request !== undefined) busy.say({ ...request, reply: true, records: new Uint8Array(0) })
      waiting.say({ type: "pong", nonce: 0 })
      await time.runFor(1_000)
    }
    const roots = waiting.heard.flatMap((frame) => (frame.type === "root" ? frame.roots : []))
    expect(waiting.heard.some(({ type }) => type === "range")).toBe(false)
    expect(roots.length).toBeGreaterThan(0)
    expect(roots.filter(({ settled, agreed }) => settled || agreed)).toEqual([])
    await node.engine.close()
  })

  for (const seed of ["one", "two", "three", "four"]) {
    test(`waits for the first comparison while the peer takes from somebody else (${seed})`, async () => {
      const time = createSimulatedTime()
      const [a, b, c] = ["a", "b", "c"].map((name) => createNode(time, `${name} ${seed}`)) as [
        Node,
        Node,
        Node,
      ]
      const left = await a.engine.replicate(memory())
      const right = await c.engine.replicate(memory())
      for (let n = 0; n < 100; n++) {
        await left.set(`left ${n}`, { n })
        await right.set(`right ${n}`, { n })
      }
      const middle = await b.engine.replicate(
        meddled((attached) => ({
          join: (entries, peer) =>
            new Promise((resolve) => {
              time.schedule(1_500, () => resolve(attached.join(entries, peer)))
            }),
        })),
      )
      connect(time, [a, b])
      connect(time, [c, b])
      const held: number[] = []
      const count = (side: string) => (): void =>
        void held.push(middle.keys.filter((key) => key.startsWith(side)).length)
      void left.synced().then(count("left"))
      void right.synced().then(count("right"))
      await time.runFor(60_000)
      expect(held).toEqual([100, 100])
    })
  }
})

describe("a pair that met before", () => {
  test("sends what is newer once, although an entry that is refused keeps its roots apart", async () => {
    const time = createSimulatedTime()
    const a = createNode(time, "a")
    const b = createNode(time, "b")
    const notes = await a.engine.replicate(memory())
    await b.engine.replicate(refusing())
    const first = connect(time, [a, b])
    await time.runFor(1_000)
    for (let n = 0; n < 30; n++) await notes.set(`k${n}`, { n })
    await notes.set("forbidden", {})
    await time.runFor(60_000)
    first.cut()
    await notes.set("newer", {})
    const second = connect(time, [a, b])
    await time.runFor(5_000)
    const carried = second.sent[0].filter((frame) => frame.type === "data" || frame.type === "push")
    expect(carried.map(({ type, key }) => [type, key])).toEqual([
      ["push", "newer"],
      ["data", "forbidden"],
    ])
    await a.engine.close()
    await b.engine.close()
  })
})

test("two who answer each other without a pause compare roots now and then, not with every change", async () => {
  const time = createSimulatedTime()
  const nodes = [createNode(time, "ann"), createNode(time, "bob")] as const
  const ann = await nodes[0].engine.replicate(memory())
  const bob = await nodes[1].engine.replicate(memory())
  const wire = connect(time, nodes)
  await time.runFor(1_000)
  let n = 0
  let isTalking = true
  bob.subscribe((key) => {
    if (key === "ping") void bob.set("pong", { n })
  })
  ann.subscribe((key) => {
    if (key === "pong" && isTalking) void ann.set("ping", { n: ++n })
  })
  void ann.set("ping", { n })
  await time.runFor(60_000)
  isTalking = false
  const roots = wire.sent.flat().filter(({ type }) => type === "root").length
  expect(n).toBeGreaterThan(1_000)
  expect(roots).toBeLessThan(n / 2)
  const synced = nodes[0].engine.synced()
  await time.runFor(1_000)
  await synced
  expect(bob.get("ping")).toEqual({ n })
})
