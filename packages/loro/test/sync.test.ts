import { afterEach, describe, expect, test } from "vitest"

import type { LoroDocuments } from "../src/loro-documents.ts"
import { loroReplica } from "../src/loro-replica.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"
import { type EngineNode, linkEngines, shareOn } from "./engine-network.ts"
import { hostileUpdates } from "./hostile-updates.ts"

interface Side {
  readonly node: EngineNode
  readonly handle: LoroDocuments
}

const sides: Side[] = []
afterEach(async () => {
  await Promise.all(sides.splice(0).map((side) => side.node.engine.close()))
})

async function side(store: MemoryStore = memoryStore()): Promise<Side> {
  const made = await shareOn(loroReplica({ name: "notes", store }))
  sides.push(made)
  return made
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe("two rooms", () => {
  test("converge under typing on both sides, and stay quiet after it", async () => {
    const [a, b] = [await side(), await side()]
    const link = linkEngines(a.node, b.node)
    const [left, right] = [await a.handle.open("x"), await b.handle.open("x")]
    for (let at = 0; at < 40; at++) {
      left.doc.getText("body").insert(0, "l")
      right.doc.getText("body").insert(0, "r")
      left.commit()
      right.commit()
      await pause(5)
    }
    await expect.poll(() => left.doc.getText("body").toString(), { timeout: 30_000 }).toHaveLength(80)
    await expect
      .poll(() => right.doc.getText("body").toString(), { timeout: 30_000 })
      .toBe(left.doc.getText("body").toString())
    await left.synced()
    await pause(1_500)
    const quiet = link.bytes()
    await pause(500)
    expect(link.bytes()).toBe(quiet)
    expect([...a.node.events, ...b.node.events]).toEqual([])
  })

  test("spend at most 200 bytes on a key press, 20 on a character of a burst", async () => {
    const [a, b] = [await side(), await side()]
    const link = linkEngines(a.node, b.node)
    const [left, right] = [await a.handle.open("x"), await b.handle.open("x")]
    const text = left.doc.getText("body")
    text.insert(0, "The first edit of a session names its author. ")
    left.commit()
    await left.synced()
    await expect.poll(() => right.doc.getText("body").length, { timeout: 30_000 }).toBe(text.length)
    await pause(300)
    const before = link.bytes()
    const keys = 20
    for (let at = 0; at < keys; at++) {
      text.insert(text.length, "k")
      left.commit()
      await pause(60)
    }
    await left.synced()
    const perKey = (link.bytes() - before) / keys
    expect(perKey).toBeLessThanOrEqual(200)

    await pause(300)
    const beforeBursts = link.bytes()
    for (let burst = 0; burst < 10; burst++) {
      text.insert(text.length, "twenty-five characters..")
      left.commit()
      await pause(60)
    }
    await left.synced()
    expect((link.bytes() - beforeBursts) / 240).toBeLessThanOrEqual(20)
  })

  test("exchange what they did while apart", async () => {
    const [a, b] = [await side(), await side()]
    for (let at = 0; at < 50; at++) {
      for (const { handle } of [a, b]) {
        await using doc = await handle.open(`doc-${at}`)
        doc.doc.getText("body").insert(0, handle === a.handle ? "from a " : "from b ")
      }
    }
    await a.handle.delete("doc-7")
    linkEngines(a.node, b.node)
    await Promise.all([a.node.engine.synced(), b.node.engine.synced()])
    await expect.poll(async () => (await b.handle.list()).length, { timeout: 30_000 }).toBe(49)
    for (let at = 0; at < 50; at++) {
      if (at === 7) continue
      await using left = await a.handle.open(`doc-${at}`)
      await using right = await b.handle.open(`doc-${at}`)
      await expect.poll(() => right.doc.getText("body").toString(), { timeout: 30_000 }).toHaveLength(14)
      await expect
        .poll(() => left.doc.getText("body").toString(), { timeout: 30_000 })
        .toBe(right.doc.getText("body").toString())
    }
    await expect(b.handle.open("doc-7")).rejects.toMatchObject({ code: "document-deleted" })
  })

  test("compare one root when nothing changed, and open no document", async () => {
    const [left, right] = [memoryStore(), memoryStore()]
    const [a, b] = [await side(left), await side(right)]
    for (let at = 0; at < 200; at++) await a.handle.import(`doc-${at}`, hostileUpdates.snapshot)
    linkEngines(a.node, b.node)
    await a.node.engine.synced()
    await Promise.all(sides.splice(0).map((one) => one.node.engine.close()))
    const [again, other] = [await side(left), await side(right)]
    const link = linkEngines(again.node, other.node)
    await expect
      .poll(() => [...again.handle.links.get().values()].map((status) => status.phase), { timeout: 30_000 })
      .toEqual(["live"])
    await pause(100)
    // This includes HELLO and credit.
    expect(link.bytes()).toBeLessThan(400)
  })

  test("find each other in a line of five, whoever types", async () => {
    const line = await Promise.all([side(), side(), side(), side(), side()])
    for (let at = 1; at < line.length; at++) linkEngines((line[at - 1] as Side).node, (line[at] as Side).node)
    const docs = await Promise.all(line.map(({ handle }) => handle.open("x")))
    for (const [at, doc] of docs.entries()) {
      doc.doc.getText("body").insert(0, `${at}`)
      doc.commit()
    }
    for (const doc of docs) {
      await expect
        .poll(() => Array.from(doc.doc.getText("body").toString()).sort().join(""), { timeout: 30_000 })
        .toBe("01234")
    }
    const texts = new Set(docs.map((doc) => doc.doc.getText("body").toString()))
    expect(texts.size).toBe(1)
  })

  test("hold what was typed before synced() was called, when it resolves", async () => {
    const disk = memoryStore()
    const [a, b] = [await side(), await side(disk)]
    const link = linkEngines(a.node, b.node)
    await using doc = await a.handle.open("x")
    const text = doc.doc.getText("body")
    text.push("first ")
    await doc.synced()
    for (const [word, synced] of [
      ["second ", () => doc.synced()],
      ["third ", () => a.handle.synced()],
      ["fourth ", () => a.node.engine.synced()],
    ] as const) {
      // Twice: the second edit falls into the 16 ms that gather edits, and only a timer would see it.
      text.push(word)
      doc.commit()
      await Promise.resolve()
      text.push(word)
      await synced()
    }
    link.cut()
    const after = await shareOn(loroReplica({ name: "notes", store: disk.copy() }))
    await using copy = await after.handle.open("x")
    expect(copy.doc.getText("body").toString()).toBe("first second second third third fourth fourth ")
    await after.node.engine.close()
  })

  test("recover from a cut in the middle of a large document", async () => {
    const [a, b] = [await side(), await side()]
    await using doc = await a.handle.open("large")
    const noise = Array.from({ length: 300_000 }, (_, at) =>
      String.fromCharCode(33 + ((at * 7919) % 90)),
    ).join("")
    doc.doc.getText("body").insert(0, noise)
    await doc.saved()
    for (let attempt = 0; attempt < 3; attempt++) {
      const link = linkEngines(a.node, b.node)
      await pause(2)
      link.cut()
    }
    linkEngines(a.node, b.node)
    await doc.synced()
    await using copy = await b.handle.open("large")
    expect(copy.doc.getText("body").toString() === noise).toBe(true)
  })
})
