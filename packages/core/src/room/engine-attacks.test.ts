import { describe, expect, test } from "vitest"
import type { AttachedReplica, JoinOutcome, Replica } from "../ports/replica.ts"
import { bytesToHex } from "../protocol/bytes-equal.ts"
import type { Frame } from "../protocol/frame.ts"
import { decodeMessage } from "../protocol/message.ts"
import { createMemoryReplica, type MemoryCollection } from "../testing/memory-replica.ts"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createSimulatedTime, type SimulatedTime } from "../testing/simulated-clock.ts"
import type { PeerRole } from "./room.ts"
import { createSyncEngine } from "./sync-engine.ts"
import type { LinkInput, SecureLink, SyncEngine } from "./sync-engine-api.ts"

interface Node {
  readonly engine: SyncEngine
  readonly session: string
  readonly device: string
}

const DIGEST_KEY = new Uint8Array(32).fill(7)

function createNode(time: SimulatedTime, name: string): Node {
  const random = createSeededRandom(name)
  const sessionId = random.bytes(16)
  const device = bytesToHex(random.bytes(32))
  const engine = createSyncEngine({
    clock: time.clock(),
    random,
    sessionId,
    device,
    digestKey: DIGEST_KEY,
    roomTag: new Uint8Array(32).fill(8),
    events: {
      presence: () => {},
      replicaReport: () => {},
      violation: (_session, code, detail) => {
        throw new Error(`${code}: ${detail}`)
      },
      reconciled: () => {},
      refused: () => {},
    },
  })
  return { engine, session: bytesToHex(sessionId), device }
}

interface Wire {
  /** Frames as they were sent, from the first node and from the second. */
  readonly sent: readonly [Frame[], Frame[]]
  cut(): void
}

interface WireOptions {
  readonly delayMs?: number
  /** What each node's room makes of the other. */
  readonly roles?: readonly [PeerRole, PeerRole]
}

function connect(
  time: SimulatedTime,
  [a, b]: readonly [Node, Node],
  { delayMs = 10, roles = ["writer", "writer"] }: WireOptions = {},
): Wire {
  const inputs: LinkInput[] = []
  let open = true
  const wire: Wire = {
    sent: [[], []],
    cut() {
      if (!open) return
      open = false
      for (const input of inputs) input.closed("cut")
    },
  }
  const linkTo = (to: Node, from: 0 | 1): SecureLink => ({
    session: to.session,
    device: to.device,
    role: roles[from],
    maxMessageBytes: 65_536,
    send(lane, message) {
      wire.sent[from].push(...decodeMessage(message).map(({ frame }) => frame))
      const copy = message.slice()
      time.schedule(delayMs, () => open && inputs[1 - from]?.message(lane, copy))
    },
    buffered: () => 0,
    close: () => void time.schedule(0, wire.cut),
  })
  inputs.push(a.engine.addLink(linkTo(b, 0)), b.engine.addLink(linkTo(a, 1)))
  return wire
}

/** A memory replica of which some methods are replaced while it is attached. */
function meddled(
  replace: (attached: AttachedReplica) => Partial<AttachedReplica>,
  direction: Replica["direction"] = "both",
): Replica<MemoryCollection> {
  const inner = createMemoryReplica({ name: "notes", direction })
  return {
    ...inner,
    async attach(host, options) {
      const attached = await inner.attach(host, options)
      return { ...attached, ...(replace(attached) as Partial<AttachedReplica<MemoryCollection>>) }
    },
  }
}

const memory = (direction: Replica["direction"] = "both"): Replica<MemoryCollection> =>
  createMemoryReplica({ name: "notes", direction })

/** Takes nothing under the key "forbidden". */
function refusing(): Replica<MemoryCollection> {
  return meddled(({ join }) => ({
    async join(entries, peer) {
      const outcomes = [
        ...(await join(
          entries.filter(({ key }) => key !== "forbidden"),
          peer,
        )),
      ]
      const refused: JoinOutcome = { type: "refused", reason: "forbidden here" }
      return entries.map(({ key }) => (key === "forbidden" ? refused : (outcomes.shift() ?? refused)))
    },
  }))
}

const payloads = (frames: readonly Frame[]): number =>
  frames.filter(({ type }) => type === "data" || type === "push").length

/** Says so once the promise has resolved. */
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
    confirm(memory("receive-only"), async (time, [a, b, c]) => {
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
