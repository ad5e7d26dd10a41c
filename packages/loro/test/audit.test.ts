import { createSimulatedTime } from "@dunlin/core/testing"
import { LoroDoc, type PeerID } from "loro-crdt"
import { expect, test } from "vitest"

import { hashContent } from "../src/replica/document-audit.ts"
import { decodeDelta, encodeDelta } from "../src/replica/document-delta.ts"
import { memoryStore } from "../src/store/memory-store.ts"
import { attachByHand, type HandDriven, pull, push } from "./hand-driven.ts"

const STRANGER = { session: "ee".repeat(16), device: "ee".repeat(32) }

/** Two devices that have the document open, each with a different text for the same edit id. */
async function openPair(words: readonly [string, string]) {
  const time = createSimulatedTime()
  const attach = async (word: string, device: string): Promise<HandDriven> => {
    const replica = await attachByHand({ name: "notes", store: memoryStore(), clock: time.clock() }, device)
    const doc = new LoroDoc()
    doc.setPeerId("7" as PeerID)
    doc.getText("body").insert(0, word)
    doc.commit()
    await replica.docs.import("x", doc.export({ mode: "update" }))
    return replica
  }
  const a = await attach(words[0], "aa".repeat(32))
  const b = await attach(words[1], "bb".repeat(32))
  const open = async (replica: HandDriven) => {
    const document = await replica.docs.open("x")
    replica.changes.length = 0
    return document
  }
  return { time, a, b, inA: await open(a), inB: await open(b) }
}

test("documents with equal edits and different content are reported, once", async () => {
  const { time, a, b, inA } = await openPair(["one", "two"])
  const type = async (): Promise<void> => {
    inA.doc.getText("body").insert(0, "!")
    await inA.saved()
    await push(a, b)
  }
  expect(await pull(b, a, "x")).toBe(false)
  await type()
  expect(b.reports).toEqual([])
  for (let round = 0; round < 3; round++) {
    await time.runFor(3_000)
    await type()
    expect(b.reports).toMatchObject([{ type: "warning" }])
  }
  expect(JSON.stringify(b.reports)).toContain("has other content here than at device aaaaaaaa")
})

test("documents with equal content are not reported, whoever writes", async () => {
  const { time, a, b, inA, inB } = await openPair(["one", "one"])
  for (let round = 0; round < 6; round++) {
    // A container asked for and left empty, here only: no edit.
    inA.doc.getList(`list ${round}`)
    const [writer, from, to] = round % 2 === 0 ? ([inA, a, b] as const) : ([inB, b, a] as const)
    writer.doc.getText("body").insert(0, "!")
    await writer.saved()
    const [change] = from.changes
    const sent = change?.delta === undefined ? null : decodeDelta(change.delta)
    expect(sent).toMatchObject({
      type: "push",
      ...(round > 0 && { audit: { base: expect.any(Uint8Array) } }),
    })
    await push(from, to)
    await time.runFor(3_000)
  }
  expect([...a.reports, ...b.reports]).toEqual([])
})

test("a document that is checked out at an earlier version is not audited", async () => {
  const { time, a, b, inA, inB } = await openPair(["one", "one"])
  const then = inA.doc.frontiers()
  inA.doc.getText("body").insert(0, "!")
  await inA.saved()
  await push(a, b)
  inA.doc.checkout(then)
  inB.doc.getText("body").insert(0, "?")
  await inB.saved()
  await push(b, a)
  await time.runFor(3_000)
  inB.doc.getText("body").insert(0, "?")
  await inB.saved()
  await push(b, a)
  await time.runFor(3_000)
  inA.doc.checkoutToLatest()
  inA.doc.getText("body").insert(0, "!")
  await inA.saved()
  await push(a, b)
  expect(inB.doc.getText("body").toString()).toBe(inA.doc.getText("body").toString())
  expect([...a.reports, ...b.reports]).toEqual([])
})

test("of edits that follow each other closely only the first is audited", async () => {
  const { time, a, inA } = await openPair(["one", "one"])
  await time.runFor(3_000)
  for (let key = 0; key < 10; key++) {
    inA.doc.getText("body").insert(0, "!")
    await inA.saved()
    await time.runFor(200)
  }
  const audited = a.changes.map(({ delta }) => {
    const sent = delta === undefined ? null : decodeDelta(delta)
    return sent?.type === "push" && sent.audit !== undefined
  })
  expect(audited).toEqual([true, ...Array.from({ length: 9 }, () => false)])
})

test("a forged audit costs a warning and no edit", async () => {
  const { time, b, inB } = await openPair(["one", "one"])
  const author = new LoroDoc()
  author.import(await b.docs.export("x"))
  await time.runFor(3_000)
  inB.doc.getText("body").insert(0, "!")
  await inB.saved()
  await time.runFor(3_000)
  const sent = b.changes.at(-1)?.stateHash
  const base = sent?.slice(0, 8) ?? new Uint8Array(8)
  author.getText("body").insert(0, "?")
  author.commit()
  const update = author.export({ mode: "update" })
  const delta = encodeDelta({ type: "push", update, audit: { base, content: new Uint8Array(8) } })
  const [outcome] = await b.attached.join([{ key: "x", delta }], STRANGER)
  expect(outcome).toMatchObject({ type: "joined", changed: true })
  expect(b.reports).toMatchObject([{ type: "warning" }])
})

test("a document that traps during an audit is read again, and not audited again", async () => {
  const { time, a, inA } = await openPair(["one", "one"])
  const broken = inA.doc
  let looks = 0
  const trap = (): never => {
    looks += 1
    throw new WebAssembly.RuntimeError("unreachable")
  }
  broken.toJSON = trap
  await time.runFor(3_000)
  expect(looks).toBe(1)
  expect(a.reports).toMatchObject([{ type: "quarantined", key: "x" }])
  expect(inA.doc).not.toBe(broken)
  inA.doc.toJSON = trap
  inA.doc.getText("body").insert(0, "still here: ")
  await inA.saved()
  await time.runFor(3_000)
  expect(looks).toBe(1)
  expect(inA.doc.getText("body").toString()).toBe("still here: one")
})

test("contents are hashed alike, in whatever order they came", () => {
  const write = (doc: LoroDoc, keys: readonly string[]): void => {
    for (const key of keys) doc.getMap("map").set(key, { b: key, a: [0.1 + 0.2, new Uint8Array([1, 2])] })
  }
  const [one, other] = [new LoroDoc(), new LoroDoc()]
  write(one, ["x", "y"])
  write(other, ["y", "x"])
  one.getText("asked for")
  expect(hashContent(one)).toEqual(hashContent(other))
  other.getMap("map").set("x", 1)
  expect(hashContent(one)).not.toEqual(hashContent(other))
})

test.each([
  ["to a whole number", [0.1, 0.2, 0.3, 0.1, 0.3]],
  ["to nothing", [0.1, 0.2, 0.4, -0.7]],
])("counters whose fractions add up %s are hashed alike, in whatever order they came", (_, parts) => {
  const devices = parts.map((part, device) => {
    const doc = new LoroDoc()
    doc.setPeerId(`${device + 1}`)
    doc.getCounter("counter").increment(part)
    doc.commit()
    return doc.export({ mode: "update" })
  })
  const counted = (updates: readonly Uint8Array[]): LoroDoc => {
    const doc = new LoroDoc()
    for (const update of updates) doc.import(update)
    return doc
  }
  const [one, other] = [counted(devices), counted(devices.toReversed())]
  expect(one.getCounter("counter").value).not.toBe(other.getCounter("counter").value)
  expect(hashContent(one)).toEqual(hashContent(other))
})
