import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

import { readState } from "../src/replica/document-state.ts"
import { createSimulatedTime, type SimulatedTime } from "@dunlin/core/testing"
import { LoroDoc } from "loro-crdt"
import { describe, expect, test, vi } from "vitest"

import { lmdbStore } from "../src/lmdb/lmdb-store.ts"
import { encodeDelta } from "../src/replica/document-delta.ts"
import type { Version } from "../src/replica/version.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"
import { attachByHand, type HandDriven, pull } from "./hand-driven.ts"
import { hostileUpdates } from "./hostile-updates.ts"
import { writeChecksum } from "./blob-checksum.ts"

const { snapshot, honest, traps, breaksLater, bomb } = hostileUpdates
/** The longest key that a room lets through. */
const MAX_KEY_BYTES = 4_096
const STRANGER = { session: "ee".repeat(16), device: "ee".repeat(32) }

async function holding(): Promise<HandDriven> {
  const a = await attachByHand({ name: "notes", store: memoryStore() })
  await a.docs.import("x", snapshot)
  return a
}

async function receive(a: HandDriven, delta: Uint8Array): Promise<unknown> {
  const [outcome] = await a.attached.join([{ key: "x", delta }], STRANGER)
  return outcome
}

/** A document in which one value is set again and again; each `flip` returns its edits as an update. */
function flipping(): { readonly doc: LoroDoc; flip(times: number): Uint8Array } {
  const doc = new LoroDoc()
  return {
    doc,
    flip(times) {
      const from = doc.oplogVersion()
      for (let at = 0; at < times; at++) doc.getMap("map").set("k", at % 2)
      doc.commit()
      return doc.export({ mode: "update", from })
    },
  }
}

const push = (update: Uint8Array): Uint8Array => encodeDelta({ type: "push", update })

test("updates that wait for others are not looked at anew with each that comes", async () => {
  const a = await attachByHand({ name: "notes", store: memoryStore(), clock: createSimulatedTime().clock() })
  await a.docs.import("x", snapshot)
  await using handle = await a.docs.open("x")
  const looks = vi.spyOn(handle.doc, "exportPendingUpdates")
  for (let n = 0; n < 50; n++) {
    const doc = new LoroDoc()
    doc.getText("body").insert(0, "kept back")
    doc.commit()
    const from = doc.oplogVersion()
    doc.getText("body").insert(0, "told")
    doc.commit()
    expect(await receive(a, push(doc.export({ mode: "update", from })))).toMatchObject({ type: "incomplete" })
  }
  expect(looks.mock.calls.length).toBeLessThan(5)
  await a.attached.detach()
})

describe("an update that traps Loro", () => {
  test.each(traps.map((trap, index) => ({ index, trap })))(
    "is refused, and the document lives on ($index)",
    async ({ trap }) => {
      const a = await holding()
      const handle = await a.docs.open("x")
      const broken = handle.doc
      let instances = 0
      handle.status.subscribe(() => (instances += 1))
      handle.doc.getText("body").insert(0, "mine ")
      expect(await receive(a, push(trap))).toMatchObject({ type: "refused" })
      expect(handle.doc).not.toBe(broken)
      expect(instances).toBe(1)
      expect(handle.doc.getText("body").toString()).toBe("mine hello world")
      expect(a.reports).toMatchObject([{ type: "quarantined", key: "x" }])
      expect(JSON.stringify(a.reports)).toContain("eeeeeeee")
      // The application continues, and so do honest peers.
      handle.doc.getText("body").insert(0, "still ")
      expect(await receive(a, push(honest))).toMatchObject({ type: "joined", changed: true })
      expect(handle.doc.getText("body").toString()).toContain("still mine")
      await handle.saved()
      await handle.close()
      await a.attached.detach()
    },
  )

  test("found in one's own edits is not blamed on what comes in that moment", async () => {
    const store = memoryStore()
    const a = await attachByHand({ name: "notes", store, clock: createSimulatedTime().clock() })
    await a.docs.import("x", snapshot)
    const handle = await a.docs.open("x")
    const broken = handle.doc
    broken.getText("body").insert(0, "mine ")
    await handle.saved()
    // This edit waits for a timer, and time stands still.
    broken.getText("body").insert(0, "and ")
    let instances = 0
    handle.status.subscribe(() => (instances += 1))
    // As Loro does after importing an update that it should have refused.
    const trap = (): never => {
      throw new WebAssembly.RuntimeError("unreachable")
    }
    broken.commit = trap
    broken.import = trap
    expect(await receive(a, push(honest))).toMatchObject({ type: "incomplete" })
    expect(await receive(a, push(honest))).toMatchObject({ type: "joined", changed: true })
    expect(handle.doc).not.toBe(broken)
    expect(instances).toBe(1)
    await handle.close()
    await a.attached.detach()
  })

  test("does not reach the store", async () => {
    const store = memoryStore()
    const a = await attachByHand({ name: "notes", store })
    await a.docs.import("x", snapshot)
    for (const trap of traps) await receive(a, push(trap))
    const b = await attachByHand({ name: "notes", store: store.copy() })
    const handle = await b.docs.open("x")
    expect(handle.doc.getText("body").toString()).toBe("hello world")
  })

  test("in a file breaks nothing but the import", async () => {
    const a = await holding()
    const handle = await a.docs.open("x")
    for (const bad of [...traps, breaksLater]) {
      await expect(a.docs.import("x", bad)).rejects.toMatchObject({ code: "invalid-update" })
    }
    expect(handle.doc.getText("body").toString()).toBe("hello world")
    expect(a.reports).toEqual([])
  })

  test("later, in an export, costs the peers that read it an answer and nothing else", async () => {
    const a = await holding()
    await receive(a, push(breaksLater))
    const [outcome] = await a.attached.read([{ key: "x", summary: new Uint8Array(0) }], STRANGER)
    expect(["delta", "refused"]).toContain(outcome?.type)
    const other = await a.docs.open("y")
    other.doc.getText("body").insert(0, "another document")
    await other.saved()
  })
})

describe("bytes that are not for us", () => {
  test("are refused before they are imported", async () => {
    const a = await holding()
    const doc = new LoroDoc()
    doc.getText("body").insert(0, "x")
    doc.commit()
    const shallow = doc.export({ mode: "shallow-snapshot", frontiers: doc.frontiers() })
    const { version } = readState(doc)
    const broken = honest.slice()
    broken[30] = (broken[30] ?? 0) ^ 1
    const cases: Record<string, Uint8Array> = {
      empty: new Uint8Array(0),
      "unknown version": Uint8Array.of(9, 0),
      "unknown tag": Uint8Array.of(1, 77),
      "a snapshot as a push": push(snapshot),
      "a shallow snapshot": push(shallow),
      garbage: push(new Uint8Array(100).fill(3)),
      "a wrong checksum": push(broken),
      truncated: push(honest.subarray(0, honest.length - 4)),
      "a version with rubbish behind it": encodeDelta({
        type: "update",
        version,
        update: Uint8Array.of(1, 2, 3),
      }),
    }
    for (const [what, delta] of Object.entries(cases)) {
      expect(await receive(a, delta), what).toMatchObject({ type: "refused" })
    }
    const handle = await a.docs.open("x")
    expect(handle.doc.getText("body").toString()).toBe("hello world")
  })

  test("may be a shallow snapshot for a document that is not here: it is dropped again", async () => {
    const a = await attachByHand({ name: "notes", store: memoryStore() })
    const doc = new LoroDoc()
    for (let at = 0; at < 5; at++) {
      doc.getText("body").insert(0, `${at}`)
      doc.commit()
    }
    const shallow = doc.export({ mode: "shallow-snapshot", frontiers: doc.frontiers() })
    const { version } = readState(doc)
    const delta = encodeDelta({ type: "snapshot", version, snapshot: shallow })
    expect(await receive(a, delta)).toMatchObject({ type: "refused" })
    const whole = encodeDelta({ type: "snapshot", version, snapshot: doc.export({ mode: "snapshot" }) })
    expect(await receive(a, whole)).toMatchObject({ type: "joined", changed: true })
  })

  test("may be any mutation of an honest update: nothing throws, what was there stays readable", async () => {
    let seed = 99
    const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
    const a = await holding()
    for (let round = 0; round < 300; round++) {
      const bytes = honest.slice()
      bytes[22 + Math.floor(random() * (bytes.length - 22))] = Math.floor(random() * 256)
      const id = `doc-${round}`
      await a.docs.import(id, snapshot)
      const [outcome] = await a.attached.join([{ key: id, delta: push(writeChecksum(bytes)) }], STRANGER)
      expect(["joined", "refused", "incomplete"]).toContain(outcome?.type)
    }
    const handle = await a.docs.open("x")
    expect(handle.doc.getText("body").toString()).toBe("hello world")
    await a.attached.detach()
  })

  test("are held to the size that was allowed", async () => {
    const a = await attachByHand({ name: "notes", store: memoryStore(), maxDocumentBytes: 10_000 })
    const doc = new LoroDoc()
    doc.getText("body").insert(0, "x".repeat(20_000))
    doc.commit()
    const outcome = await receive(a, push(doc.export({ mode: "update" })))
    expect(outcome).toMatchObject({ type: "refused" })
  })

  test("are held to the number of operations that was allowed, all together", async () => {
    const options = { name: "notes", maxDocumentOperations: 1_000 }
    const a = await attachByHand({ ...options, store: memoryStore() })
    const { doc, flip } = flipping()
    const first = flip(600)
    expect(await receive(a, push(first))).toMatchObject({ type: "joined", changed: true })
    const second = flip(600)
    // In memory the update takes a hundred times as much.
    expect(second.length).toBeLessThan(2_000)
    expect(await receive(a, push(second))).toMatchObject({ type: "refused" })
    expect(a.reports).toMatchObject([{ type: "quarantined", key: "x" }])
    expect(JSON.stringify(a.reports)).toContain("1200 operations, of at most 1000")
    expect(await receive(a, push(first))).toMatchObject({ type: "joined", changed: false })
    await expect(a.docs.import("x", second)).rejects.toMatchObject({ code: "too-large" })
    const handle = await a.docs.open("x")
    expect(handle.doc.opCount()).toBe(600)

    const { version } = readState(doc)
    const snapshot = doc.export({ mode: "snapshot" })
    const b = await attachByHand({ ...options, store: memoryStore() })
    expect(await receive(b, encodeDelta({ type: "snapshot", version, snapshot }))).toMatchObject({
      type: "refused",
      // The peer is told this reason.
      reason: "1200 operations, of at most 1000",
    })
    expect(JSON.stringify(b.reports)).toContain("1200 operations, of at most 1000")
    await expect(b.docs.import("x", snapshot)).rejects.toMatchObject({ code: "too-large" })
    expect(await b.docs.list()).toEqual([])
    // The limit is not for edits that are made here.
    const own = await b.docs.open("x")
    for (let at = 0; at < 1_200; at++) own.doc.getMap("map").set("k", at)
    await own.saved()
    expect(b.changes).toMatchObject([{ key: "x" }])
  })

  test("may not say fewer operations than they bring", async () => {
    const { flip } = flipping()
    const honest = flip(300)
    const counters = [...honest.keys()].filter((at) => honest[at] === 0xac && honest[at + 1] === 0x02)
    expect(counters.length).toBeGreaterThan(0)
    for (const at of counters) {
      const lie = honest.slice()
      lie.set([0x81, 0x01], at)
      const a = await attachByHand({ name: "notes", store: memoryStore(), maxDocumentOperations: 200 })
      expect(await receive(a, push(writeChecksum(lie)))).toMatchObject({ type: "refused" })
      await a.attached.detach()
    }
  })

  test("may be a bomb: it is refused while it is packed", async () => {
    const a = await attachByHand({ name: "notes", store: memoryStore() })
    expect(bomb.length).toBeLessThan(400_000)
    const before = process.memoryUsage().external
    const version = new Map([["7", 40_000_000]]) as Version
    expect(await receive(a, encodeDelta({ type: "snapshot", version, snapshot: bomb }))).toMatchObject({
      type: "refused",
    })
    await expect(a.docs.import("x", bomb)).rejects.toMatchObject({ code: "too-large" })
    // WebAssembly's memory never shrinks: it would show if the bomb had been unpacked.
    expect(process.memoryUsage().external - before).toBeLessThan(20_000_000)
    expect(await a.docs.list()).toEqual([])
  })

  test("without their history wait, up to a bound, and are then asked for with it", async () => {
    const a = await attachByHand({ name: "notes", store: memoryStore() })
    const doc = new LoroDoc()
    const updates: Uint8Array[] = []
    doc.subscribeLocalUpdates((update) => void updates.push(update))
    for (let at = 0; at < 40; at++) {
      doc.getText("body").insert(0, `${at} `.padEnd(50_000, "x"))
      doc.commit()
    }
    for (const update of updates.slice(1)) {
      expect(await receive(a, push(update))).toMatchObject({ type: "incomplete" })
    }
    expect(await receive(a, push(updates[0] ?? new Uint8Array(0)))).toMatchObject({
      type: "joined",
      changed: true,
    })
    const handle = await a.docs.open("x")
    const length = handle.doc.getText("body").length
    expect(length).toBeGreaterThan(200_000)
    expect(length).toBeLessThan(1_200_000)
    await handle.close()
  })

  test("that wait do not keep the log from being folded", async () => {
    const time = createSimulatedTime()
    const store = memoryStore()
    const a = await attachByHand({ name: "notes", store, clock: time.clock() })
    await a.docs.import("x", snapshot)
    const doc = new LoroDoc()
    const updates: Uint8Array[] = []
    doc.subscribeLocalUpdates((update) => void updates.push(update))
    for (const length of [10, 3_000_000, 10]) {
      doc.getText("body").insert(0, "y".repeat(length))
      doc.commit()
    }
    // One update of three megabytes, and one small enough to be kept in memory.
    for (const update of updates.slice(1)) {
      expect(await receive(a, push(update))).toMatchObject({ type: "incomplete" })
    }
    await typeAndFold(a, store, time)
  })

  test("of a thousand authors that wait for others cost one instance", async () => {
    const a = await holding()
    const handle = await a.docs.open("x")
    const instance = handle.doc
    const base = new LoroDoc()
    base.getText("other").insert(0, "never sent")
    base.commit()
    const outcomes: string[] = []
    for (let at = 0; at < 4; at++) {
      // The update begins at the first operation of its author, and yet waits for its base.
      const fork = base.fork()
      const since = fork.oplogVersion()
      fork.getText("body").insert(0, "z".repeat(900_000))
      fork.commit()
      const outcome = await receive(a, push(fork.export({ mode: "update", from: since })))
      outcomes.push((outcome as { type: string }).type)
    }
    expect(outcomes).toEqual(["incomplete", "incomplete", "refused", "incomplete"])
    expect(handle.doc).not.toBe(instance)
    expect(handle.doc.getText("body").toString()).toBe("hello world")
  })

  test("may be for a name that no store takes: what came with it is taken", async () => {
    const directory = await mkdtemp(join(tmpdir(), "dunlin-hostile-"))
    const a = await attachByHand({ name: "notes", store: lmdbStore({ path: directory }) })
    const long = "n".repeat(MAX_KEY_BYTES)
    const delta = encodeDelta({ type: "snapshot", version: new Map(), snapshot })
    const joined = await a.attached.join(
      [long, "x", ""].map((key) => ({ key, delta })),
      STRANGER,
    )
    expect(joined).toMatchObject([{ type: "refused" }, { type: "joined" }, { type: "refused" }])
    const summary = new Uint8Array(0)
    const [none, some] = await a.attached.summarize([long, "x"])
    expect(none).toEqual(summary)
    expect(some).not.toEqual(summary)
    expect(
      await a.attached.read(
        [long, "x"].map((key) => ({ key, summary })),
        STRANGER,
      ),
    ).toMatchObject([{ type: "none" }, { type: "delta" }])
    await a.attached.detach()
    await rm(directory, { recursive: true })
  })

  test("in a summary are refused", async () => {
    const a = await holding()
    for (const summary of [
      Uint8Array.of(7),
      Uint8Array.of(1, 1, 255, 255, 255, 127),
      new Uint8Array(300_000),
    ]) {
      expect(await a.attached.read([{ key: "x", summary }], STRANGER)).toMatchObject([{ type: "refused" }])
    }
  })
})

test("an edit in the log that waits for another one is still there after the log was folded", async () => {
  const time = createSimulatedTime()
  const store = memoryStore()
  const before = await attachByHand({ name: "notes", store })
  await before.docs.import("x", snapshot)
  await before.attached.detach()
  const doc = new LoroDoc()
  const updates: Uint8Array[] = []
  doc.subscribeLocalUpdates((update) => void updates.push(update))
  for (const word of ["one", "two"]) {
    doc.getText("words").push(word)
    doc.commit()
  }
  const raw = await store.open()
  await raw.commit({ logs: [{ id: "x", sequence: 50, bytes: updates[1] ?? new Uint8Array(0) }] })
  await raw.close()

  const a = await attachByHand({ name: "notes", store, clock: time.clock() })
  await typeAndFold(a, store, time)
  await a.attached.detach()
  const again = await attachByHand({ name: "notes", store })
  await receive(again, push(updates[0] ?? new Uint8Array(0)))
  const handle = await again.docs.open("x")
  expect(handle.doc.getText("words").toString()).toBe("onetwo")
})

test("names that mean something to JavaScript are names like others", async () => {
  const names = ["__proto__", "constructor", "prototype"]
  const a = await attachByHand({ name: "notes", store: memoryStore() })
  const b = await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32))
  for (const id of names) {
    await using handle = await a.docs.open(id)
    for (const name of names) {
      handle.doc.getMap("map").set(name, { polluted: true })
      handle.doc.getMap("_dunlin").set(name, new Uint8Array(32))
      handle.doc.getMap(name).set("polluted", true)
    }
  }
  for (const id of names) {
    await pull(b, a, id)
    await using handle = await b.docs.open(id)
    const map = handle.doc.getMap("map")
    expect(map.keys().sort()).toEqual([...names].sort())
    for (const name of names) expect(map.get(name)).toEqual({ polluted: true })
    expect(handle.history.list().length).toBeGreaterThan(0)
    handle.history.restore(handle.history.list().at(-1)?.version ?? [])
    // Loro's own `toJSON` sets the prototype of the object that it returns, and of no other.
    expect(Object.getPrototypeOf(handle.doc.getMap("map").toJSON())).not.toBe(Object.prototype)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  }
  expect((await b.docs.list()).map((info) => info.id).sort()).toEqual([...names].sort())
})

/** A hundred edits of a kilobyte: they end up in a snapshot. */
async function typeAndFold(a: HandDriven, store: MemoryStore, time: SimulatedTime): Promise<void> {
  await using handle = await a.docs.open("x")
  for (let at = 0; at < 100; at++) {
    handle.doc.getText("body").push("k".repeat(1_000))
    await handle.saved()
  }
  await time.runFor(1_000)
  await handle.saved()
  const raw = await store.open()
  const { snapshot: folded, log } = await raw.load("x")
  expect(folded?.length).toBeGreaterThan(0)
  expect(log.length).toBeLessThan(60)
  await raw.close()
}

test("a document that the store cannot give any more spoils no other", async () => {
  const store = memoryStore()
  const before = await attachByHand({ name: "notes", store })
  await before.docs.import("x", snapshot)
  await before.docs.import("y", snapshot)
  await before.attached.detach()
  const raw = await store.open()
  const { log } = await raw.load("x")
  await raw.commit({
    logs: log.map(({ sequence, bytes }) => ({ id: "x", sequence, bytes: bytes.slice(0, -5) })),
  })
  await raw.close()

  const a = await attachByHand({ name: "notes", store })
  const outcomes = await a.attached.join(
    ["x", "y"].map((key) => ({ key, delta: push(honest) })),
    STRANGER,
  )
  // A single edit mends nothing: the sender is asked for the rest of what it holds.
  expect(outcomes).toMatchObject([{ type: "incomplete" }, { type: "joined", changed: true }])
  const requests = ["x", "y"].map((key) => ({ key, summary: new Uint8Array(0) }))
  expect(await a.attached.read(requests, STRANGER)).toMatchObject([{ type: "none" }, { type: "delta" }])
  await expect(a.docs.open("x")).rejects.toMatchObject({ code: "document-corrupt" })
  expect(a.reports).toMatchObject([{ type: "quarantined", key: "x" }])
})

test("answers of many documents come in portions of about a megabyte", async () => {
  const a = await attachByHand({ name: "notes", store: memoryStore() })
  const ids = Array.from({ length: 80 }, (_, at) => `doc-${at}`)
  for (const id of ids) {
    await using handle = await a.docs.open(id)
    handle.doc
      .getText("body")
      .insert(0, Buffer.from(crypto.getRandomValues(new Uint8Array(40_000))).toString("base64"))
  }
  const summary = new Uint8Array(0)
  let asked = 0
  for (let rounds = 0; asked < ids.length; rounds++) {
    const outcomes = await a.attached.read(
      ids.slice(asked).map((key) => ({ key, summary })),
      STRANGER,
    )
    expect(outcomes.length).toBeGreaterThan(0)
    if (rounds === 0) expect(outcomes.length).toBeLessThan(ids.length)
    asked += outcomes.length
  }
})
