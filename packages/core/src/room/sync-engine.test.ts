import { sha256 } from "@noble/hashes/sha2.js"
import { afterEach, describe, expect, it } from "vitest"
import { systemClock } from "../ports/clock.ts"
import { systemRandom } from "../ports/random.ts"
import type { Replica, ReplicaHost } from "../ports/replica.ts"
import type { Lane } from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { createSyncEngine } from "./sync-engine.ts"
import type { LinkInput, SecureLink, SyncEngine } from "./sync-engine-api.ts"

/** A register of growing numbers: the larger wins. The smallest replica that is a join-semilattice. */
function createCounterReplica(name: string, size = 8): Replica<CounterHandle> & { readonly joins: number } {
  const valueByKey = new Map<string, number>()
  let host: ReplicaHost | null = null
  let joins = 0
  const encode = (value: number): Uint8Array => {
    const bytes = new Uint8Array(size)
    new DataView(bytes.buffer).setFloat64(0, value)
    return bytes
  }
  const decode = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0)
  const hashOf = (key: string): Uint8Array | null =>
    valueByKey.has(key) ? sha256(encode(valueByKey.get(key) as number)) : null
  return {
    name,
    kind: 200,
    schemaTag: "counter/1",
    direction: "both",
    get joins() {
      return joins
    },
    async attach(given) {
      host = given
      return {
        handle: {
          values: valueByKey,
          put(key, value) {
            const before = hashOf(key)
            valueByKey.set(key, value)
            host?.changed([{ key, before, stateHash: hashOf(key), delta: encode(value) }])
          },
        },
        async *scan() {
          const entries = [...valueByKey.keys()].map((key) => ({ key, stateHash: hashOf(key) }))
          yield { entries, cursor: new Uint8Array(1) }
        },
        loadIndex: async () => null,
        saveIndex: async () => {},
        summarize: async (keys) =>
          keys.map((key) =>
            valueByKey.has(key) ? encode(valueByKey.get(key) as number) : new Uint8Array(0),
          ),
        read: async (requests) =>
          requests.map(({ key }) => {
            const stateHash = hashOf(key)
            if (stateHash === null) return { type: "none" }
            return { type: "delta", stateHash, delta: encode(valueByKey.get(key) as number) }
          }),
        join: async (entries) =>
          entries.map(({ key, delta }) => {
            joins++
            const before = hashOf(key)
            const mine = valueByKey.get(key) ?? Number.NEGATIVE_INFINITY
            const theirs = decode(delta)
            if (theirs > mine) valueByKey.set(key, theirs)
            return {
              type: "joined",
              changed: theirs > mine,
              before,
              stateHash: hashOf(key) as Uint8Array,
              senderLacks: theirs < mine ? delta : null,
            }
          }),
        detach: async () => {
          host = null
        },
      }
    },
  }
}

interface CounterHandle {
  readonly values: ReadonlyMap<string, number>
  put(key: string, value: number): void
}

const engines: SyncEngine[] = []
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()))
})

interface Node {
  readonly engine: SyncEngine
  readonly session: string
  readonly device: string
  readonly violations: string[]
  readonly reconciled: string[]
}

function createNode(device: string = bytesToHex(systemRandom().bytes(32))): Node {
  const random = systemRandom()
  const sessionId = random.bytes(16)
  const violations: string[] = []
  const reconciled: string[] = []
  const engine = createSyncEngine({
    clock: systemClock(),
    random,
    sessionId,
    device,
    digestKey: new Uint8Array(32).fill(7),
    roomTag: new Uint8Array(32).fill(8),
    events: {
      presence: () => {},
      replicaReport: () => {},
      violation: (_session, code, detail) => void violations.push(`${code}: ${detail}`),
      reconciled: ({ replica }) => void reconciled.push(replica),
      refused: () => {},
    },
  })
  engines.push(engine)
  return { engine, session: bytesToHex(sessionId), device, violations, reconciled }
}

interface Wire {
  readonly bytes: () => number
  cut(): void
}

/** Two secure links back to back. */
function connect(a: Node, b: Node): Wire {
  let bytes = 0
  let open = true
  const inputs: { a?: LinkInput; b?: LinkInput } = {}
  const linkTo = (to: Node, far: "a" | "b"): SecureLink => ({
    session: to.session,
    device: to.device,
    role: "writer",
    maxMessageBytes: 262_144,
    send(lane: Lane, message: Uint8Array) {
      bytes += message.length
      const copy = message.slice()
      setTimeout(() => open && inputs[far]?.message(lane, copy), 1)
    },
    buffered: () => 0,
    close: () => cut(),
  })
  const cut = (): void => {
    if (!open) return
    open = false
    inputs.a?.closed("cut")
    inputs.b?.closed("cut")
  }
  inputs.a = a.engine.addLink(linkTo(b, "b"))
  inputs.b = b.engine.addLink(linkTo(a, "a"))
  return { bytes: () => bytes, cut }
}

describe("two engines", () => {
  it("exchange what each wrote before they met, and what they write afterwards", async () => {
    const [a, b] = [createNode(), createNode()]
    const left = await a.engine.replicate(createCounterReplica("numbers"))
    const right = await b.engine.replicate(createCounterReplica("numbers"))
    for (let n = 0; n < 3_000; n++) left.put(`left-${n}`, n)
    for (let n = 0; n < 2_000; n++) right.put(`right-${n}`, n)
    left.put("both", 1)
    right.put("both", 2)
    connect(a, b)
    await a.engine.synced()
    await b.engine.synced()
    expect(right.values.size).toBe(5_001)
    expect(left.values).toEqual(new Map([...right.values].map(([key, value]) => [key, value])))
    expect(left.values.get("both")).toBe(2)
    left.put("live", 5)
    right.put("live", 6)
    right.put("other", 7)
    await Promise.all([a.engine.synced(), b.engine.synced()])
    await expect.poll(() => left.values.get("live")).toBe(6)
    expect(left.values.get("other")).toBe(7)
    expect([...a.violations, ...b.violations]).toEqual([])
  })

  it("say next to nothing when they hold the same", async () => {
    const [a, b] = [createNode(), createNode()]
    const left = await a.engine.replicate(createCounterReplica("numbers"))
    const right = await b.engine.replicate(createCounterReplica("numbers"))
    for (let n = 0; n < 1_000; n++) {
      left.put(`k${n}`, n)
      right.put(`k${n}`, n)
    }
    const wire = connect(a, b)
    await a.engine.synced()
    await b.engine.synced()
    expect(wire.bytes()).toBeLessThan(400)
  })

  it("exchange only what is newer when they meet again, in one round trip", async () => {
    const [a, b] = [createNode(), createNode()]
    const left = await a.engine.replicate(createCounterReplica("numbers"))
    const right = await b.engine.replicate(createCounterReplica("numbers"))
    for (let n = 0; n < 2_000; n++) left.put(`k${n}`, n)
    const first = connect(a, b)
    await a.engine.synced()
    await b.engine.synced()
    first.cut()
    for (let n = 0; n < 10; n++) {
      left.put(`k${n}`, 10_000 + n)
      right.put(`k${n + 5}`, 20_000 + n)
    }
    const second = connect(a, b)
    // Offered is not held: each side may be told that it is synced only when the other has its newest change.
    await Promise.all([
      a.engine.synced().then(() => expect(right.values.get("k0")).toBe(10_000)),
      b.engine.synced().then(() => expect(left.values.get("k14")).toBe(20_009)),
    ])
    expect(left.values).toEqual(new Map([...right.values].map(([key, value]) => [key, value])))
    expect(a.reconciled.length + b.reconciled.length).toBe(1)
    expect(second.bytes()).toBeLessThan(3_000)
  })

  it("reconcile when the common root is forgotten by one side", async () => {
    const [a, b] = [createNode(), createNode()]
    const left = await a.engine.replicate(createCounterReplica("numbers"))
    await b.engine.replicate(createCounterReplica("numbers"))
    for (let n = 0; n < 500; n++) left.put(`k${n}`, n)
    const first = connect(a, b)
    await a.engine.synced()
    first.cut()
    await b.engine.close()
    const wiped = createNode(b.device)
    const fresh = await wiped.engine.replicate(createCounterReplica("numbers"))
    connect(a, wiped)
    await a.engine.synced()
    expect(fresh.values.size).toBe(500)
  })

  it("move entries that are longer than a message", async () => {
    const [a, b] = [createNode(), createNode()]
    const left = await a.engine.replicate(createCounterReplica("numbers", 300_000))
    const right = await b.engine.replicate(createCounterReplica("numbers", 300_000))
    for (let n = 0; n < 40; n++) left.put(`k${n}`, n)
    connect(a, b)
    await a.engine.synced()
    expect(right.values.size).toBe(40)
  })
})

describe("a line of three engines", () => {
  it("passes changes on", async () => {
    const [a, b, c] = [createNode(), createNode(), createNode()]
    const left = await a.engine.replicate(createCounterReplica("numbers"))
    await b.engine.replicate(createCounterReplica("numbers"))
    const right = await c.engine.replicate(createCounterReplica("numbers"))
    connect(a, b)
    connect(b, c)
    left.put("x", 1)
    await expect.poll(() => right.values.get("x"), { timeout: 10_000 }).toBe(1)
    right.put("x", 2)
    await expect.poll(() => left.values.get("x"), { timeout: 10_000 }).toBe(2)
  })
})

it.each([
  ["an empty name", { name: "" }],
  ["a name of 129 bytes", { name: "n".repeat(129) }],
  ["a schema tag of 129 bytes", { schemaTag: "s".repeat(129) }],
])("takes no replica with %s, and goes on without it", async (_what, wrong) => {
  const { engine } = createNode()
  await expect(engine.replicate({ ...createCounterReplica("counters"), ...wrong })).rejects.toMatchObject({
    code: "invalid-option",
  })
  expect((await engine.replicate(createCounterReplica("counters"))).values.size).toBe(0)
})
