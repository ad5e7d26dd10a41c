import { describe, expect, test } from "vitest"

import { attachByHand, type HandDriven, pull } from "../test/hand-driven.ts"
import type { DocumentsEvent } from "./replica/document-news.ts"
import type { DocumentStore } from "./store/document-store.ts"
import { memoryStore } from "./store/memory-store.ts"

async function openTabs(
  count: number,
): Promise<{ tabs: HandDriven[]; store: ReturnType<typeof memoryStore> }> {
  const store = memoryStore()
  const tabs: HandDriven[] = []
  for (let at = 0; at < count; at++) tabs.push(await attachByHand({ name: "notes", store }, "ab".repeat(32)))
  return { tabs, store }
}

function at(tabs: readonly HandDriven[], index: number): HandDriven {
  const tab = tabs[index]
  if (tab === undefined) throw new Error("no such tab")
  return tab
}

describe("tabs over one store", () => {
  test("show each other's edits", async () => {
    const { tabs } = await openTabs(3)
    const docs = await Promise.all(tabs.map((tab) => tab.docs.open("x")))
    for (const [index, doc] of docs.entries()) {
      doc.doc.getText("body").insert(0, `tab ${index} `)
      await doc.saved()
      await expect
        .poll(() => new Set(docs.map((one) => one.doc.getText("body").toString())).size, { timeout: 30_000 })
        .toBe(1)
    }
    expect(docs[0]?.doc.getText("body").toString()).toContain("tab 2")
    // Every tab's room hears of every change.
    for (const tab of tabs) expect(new Set(tab.changes.map((change) => change.key))).toEqual(new Set(["x"]))
    const hashes = tabs.map((tab) => Buffer.from(tab.changes.at(-1)?.stateHash ?? []).toString("hex"))
    expect(new Set(hashes).size).toBe(1)
  })

  test("are told of documents that they do not have open", async () => {
    const { tabs } = await openTabs(2)
    const events: DocumentsEvent[] = []
    at(tabs, 1).docs.subscribe((event) => void events.push(event))
    const doc = await at(tabs, 0).docs.open("x")
    doc.doc.getText("body").insert(0, "one")
    await doc.saved()
    await expect.poll(() => at(tabs, 1).changes.length, { timeout: 30_000 }).toBe(1)
    await at(tabs, 0).docs.delete("y")
    await expect.poll(() => at(tabs, 1).changes.length, { timeout: 30_000 }).toBe(2)
    expect(events).toEqual([
      { type: "changed", id: "x", origin: "tab" },
      { type: "deleted", id: "y", origin: "tab" },
    ])
    const other = await at(tabs, 1).docs.open("x")
    expect(other.doc.getText("body").toString()).toBe("one")
  })

  test("hand over to each other: nothing is lost, whoever goes", async () => {
    const { tabs, store } = await openTabs(4)
    const expected = new Set<string>()
    for (let round = 0; round < 4; round++) {
      const open = await Promise.all(tabs.slice(round).map((tab) => tab.docs.open("x")))
      await Promise.all(
        open.map(async (doc, index) => {
          for (let word = 0; word < 5; word++) {
            const text = `r${round}t${index}w${word} `
            doc.doc.getText("body").insert(0, text)
            doc.commit()
            expected.add(text.trim())
            await doc.saved()
          }
        }),
      )
      // The lease holder leaves in the middle of it all.
      await at(tabs, round).attached.detach()
    }
    const after = await attachByHand({ name: "notes", store })
    const doc = await after.docs.open("x")
    const words = new Set(doc.doc.getText("body").toString().trim().split(" "))
    expect(words).toEqual(expected)
    const opened = await store.open()
    expect(await opened.inbox(0, 10)).toEqual([])
    await opened.close()
  })

  test("that all crashed leave an inbox, which the next one takes in", async () => {
    const { tabs, store } = await openTabs(2)
    const doc = await at(tabs, 1).docs.open("x")
    doc.doc.getText("body").insert(0, "from the second tab")
    // The disk once the second tab's edit is durable, but before the first tab has moved it.
    const stored = await store.open()
    doc.commit()
    await expect
      .poll(async () => (await stored.load("x")).inbox.length + (await stored.load("x")).log.length, {
        timeout: 30_000,
      })
      .toBeGreaterThan(0)
    const disk = store.copy()
    const after = await attachByHand({ name: "notes", store: disk })
    const again = await after.docs.open("x")
    expect(again.doc.getText("body").toString()).toBe("from the second tab")
    await expect.poll(async () => (await keys(after)).length, { timeout: 30_000 }).toBe(1)
  })

  test("tell each other only of what is stored: an edit upon a lost one would be lost as well", async () => {
    const inner = memoryStore()
    let release: () => void = () => undefined
    let gate: Promise<void> | null = null
    const slow: DocumentStore = {
      name: "slow",
      async open() {
        const opened = await inner.open()
        return {
          ...opened,
          async commit(batch) {
            await gate
            return opened.commit(batch)
          },
        }
      },
    }
    const holder = await attachByHand({ name: "notes", store: slow })
    const follower = await attachByHand({ name: "notes", store: inner })
    const [here, there] = [await holder.docs.open("x"), await follower.docs.open("x")]
    gate = new Promise((resolve) => (release = resolve))
    here.doc.getText("body").insert(0, "not stored yet")
    here.commit()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(there.doc.getText("body").toString()).toBe("")
    release()
    await expect.poll(() => there.doc.getText("body").toString(), { timeout: 30_000 }).toBe("not stored yet")
  })

  test("report unreadable messages once, and read the others", async () => {
    const { tabs, store } = await openTabs(2)
    const stranger = await store.open()
    for (let n = 0; n < 50; n++) stranger.lease.post(Uint8Array.of(99, n))
    const doc = await at(tabs, 1).docs.open("x")
    doc.doc.getText("body").insert(0, "all the same")
    await doc.saved()
    await expect.poll(() => at(tabs, 0).changes.length, { timeout: 30_000 }).toBe(1)
    for (const { reports } of tabs)
      expect(reports).toMatchObject([{ reason: "a message of another tab cannot be read" }])
    await stranger.close()
  })

  test("delete together", async () => {
    const { tabs } = await openTabs(2)
    const [first, second] = await Promise.all(tabs.map((tab) => tab.docs.open("x")))
    first?.doc.getText("body").insert(0, "gone soon")
    await first?.saved()
    await at(tabs, 1).docs.delete("x")
    await expect.poll(() => first?.status.get(), { timeout: 30_000 }).toEqual({ phase: "deleted" })
    expect(second?.status.get()).toEqual({ phase: "deleted" })
    await expect.poll(() => at(tabs, 0).docs.list(), { timeout: 30_000 }).toEqual([])
  })

  test("a tab that follows joins what a peer sends, durably", async () => {
    const { tabs, store } = await openTabs(2)
    const peer = await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32))
    const remote = await peer.docs.open("x")
    remote.doc.getText("body").insert(0, "from afar")
    await remote.saved()
    await pull(at(tabs, 1), peer, "x")
    const here = await at(tabs, 0).docs.open("x")
    await expect.poll(() => here.doc.getText("body").toString(), { timeout: 30_000 }).toBe("from afar")
    await at(tabs, 1).attached.detach()
    await at(tabs, 0).attached.detach()
    const after = await attachByHand({ name: "notes", store })
    expect((await after.docs.open("x")).doc.getText("body").toString()).toBe("from afar")
  })
})

async function keys(tab: HandDriven): Promise<readonly string[]> {
  const found: string[] = []
  for await (const page of tab.attached.scan(null)) found.push(...page.entries.map((entry) => entry.key))
  return found
}
