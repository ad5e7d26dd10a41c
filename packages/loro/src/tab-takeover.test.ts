import { createSimulatedTime } from "@dunlin/core/testing"
import { describe, expect, test } from "vitest"

import { attachByHand, type HandDriven, pull } from "../test/hand-driven.ts"
import { hostileUpdates } from "../test/hostile-updates.ts"
import { encodeDelta } from "./replica/document-delta.ts"
import type { DocumentsEvent } from "./replica/document-news.ts"
import { readState, TOMBSTONE_HASH } from "./replica/document-state.ts"
import type { DocumentStore, OpenDocumentStore } from "./store/document-store.ts"
import { encryptedStore } from "./store/encrypted-store.ts"
import { memoryStore } from "./store/memory-store.ts"

const { snapshot, honest, traps } = hostileUpdates
const push = (update: Uint8Array): Uint8Array => encodeDelta({ type: "push", update })

async function textOf(replica: HandDriven, id: string): Promise<string> {
  await using handle = await replica.docs.open(id)
  return handle.doc.getText("body").toString()
}

async function inboxOf(store: DocumentStore): Promise<readonly string[]> {
  const opened = await store.open()
  const entries = await opened.inbox(0, 100)
  await opened.close()
  return entries.map((entry) => entry.id)
}

/** The same store, seen by a tab whose calls go through `change`. */
function changedFor(
  store: DocumentStore,
  change: (opened: OpenDocumentStore) => Partial<OpenDocumentStore>,
): DocumentStore {
  return {
    name: store.name,
    async open(options) {
      const opened = await store.open(options)
      return { ...opened, ...change(opened) }
    },
  }
}

/** A store whose tab tells nobody what it leaves in the inbox, as when the holder dies at that moment. */
const mute = (store: DocumentStore): DocumentStore =>
  changedFor(store, ({ lease }) => ({
    lease: { held: lease.held, post: () => undefined, subscribe: (listener) => lease.subscribe(listener) },
  }))

describe("an edit that a tab has saved", () => {
  test("is taken over by the holder whatever its size", async () => {
    const store = memoryStore()
    const options = { name: "notes", store, maxDocumentBytes: 1_000 }
    const [holder, tab] = [await attachByHand(options), await attachByHand(options)]
    const handle = await tab.docs.open("x")
    handle.doc.getText("body").insert(0, "long ".repeat(2_000))
    await handle.saved()
    await tab.attached.detach()
    await holder.attached.detach()
    const after = await attachByHand(options)
    expect(await textOf(after, "x")).toHaveLength(10_000)
    expect(await inboxOf(store)).toEqual([])
  })

  test("stays in the store when nobody can take it in, and stops no other", async () => {
    const store = memoryStore()
    const first = await attachByHand({ name: "notes", store })
    await first.docs.import("x", snapshot)
    await first.attached.detach()
    const raw = await store.open()
    await raw.commit({
      inbox: [
        { id: "w", bytes: push(snapshot) },
        { id: "x", bytes: Uint8Array.of(99, 1, 2) },
        { id: "x", bytes: push(traps[0] ?? snapshot) },
        { id: "x", bytes: push(Uint8Array.of(1, 2, 3)) },
        { id: "v", bytes: Uint8Array.of(99, 1, 2) },
        { id: "v", bytes: push(snapshot) },
        { id: "v", bytes: push(honest) },
        { id: "y", bytes: push(snapshot) },
      ],
    })
    await raw.close()

    const a = await attachByHand({ name: "notes", store })
    expect(await textOf(a, "w")).toBe("hello world")
    expect(await textOf(a, "y")).toBe("hello world")
    expect(await textOf(a, "x")).toBe("hello world")
    expect(await textOf(a, "v")).not.toBe("hello world")
    expect(await inboxOf(store)).toEqual(["x", "x", "x", "v"])
    expect(a.reports.filter((report) => /stays in the store/.test(report.reason))).toHaveLength(4)

    // Another tab reads the same from this store, and the next start tries again.
    const tab = await attachByHand({ name: "notes", store })
    expect(await textOf(tab, "x")).toBe(await textOf(a, "x"))
    await tab.attached.detach()
    await a.attached.detach()
    const again = await attachByHand({ name: "notes", store })
    expect(await inboxOf(store)).toEqual(["x", "x", "x", "v"])
    expect(await textOf(again, "x")).toBe("hello world")
  })

  test("and that the last row already covers is no damage", async () => {
    const [store, whole] = [memoryStore(), memoryStore()]
    const [part, all] = [
      await attachByHand({ name: "notes", store }),
      await attachByHand({ name: "notes", store: whole }),
    ]
    for (const { docs } of [part, all]) await docs.import("x", snapshot)
    await all.docs.import("x", honest)
    const text = await textOf(all, "x")
    for (const { attached } of [part, all]) await attached.detach()
    const { row } = await (await whole.open()).load("x")
    const raw = await store.open()
    await raw.commit({
      rows: [{ id: "x", sequence: 1_000, bytes: row ?? new Uint8Array(0) }],
      inbox: [{ id: "x", bytes: push(honest) }],
    })
    await raw.close()
    const again = await attachByHand({ name: "notes", store })
    expect(await textOf(again, "x")).toBe(text)
    expect(again.reports).toEqual([])
    await again.attached.detach()
    expect(await inboxOf(store)).toEqual([])
  })

  test("does not bring into the log what Loro never read", async () => {
    const store = memoryStore()
    const a = await attachByHand({ name: "notes", store })
    await a.docs.import("x", snapshot)
    await a.attached.detach()
    // Its operations have the ids of the honest update: known to whoever has that, and a trap for whoever has not.
    const raw = await store.open()
    await raw.commit({
      inbox: [traps[0] ?? snapshot, honest].map((bytes) => ({ id: "x", bytes: push(bytes) })),
    })
    await raw.close()
    const again = await attachByHand({ name: "notes", store })
    const text = await textOf(again, "x")
    await again.attached.detach()
    expect(await inboxOf(store)).toEqual([])
    expect(await textOf(await attachByHand({ name: "notes", store }), "x")).toBe(text)
  })

  test("is in the document even if the holder opens it before the edit is announced", async () => {
    const store = memoryStore()
    const holder = await attachByHand({ name: "notes", store })
    await holder.docs.import("known", snapshot)
    await holder.attached.detach()
    const again = await attachByHand({ name: "notes", store })
    const tab = await attachByHand({ name: "notes", store: mute(store) })
    for (const id of ["known", "new"]) {
      await using handle = await tab.docs.open(id)
      handle.doc.getText("body").insert(0, "tab ")
      await handle.saved()
    }
    for (const one of [again, tab]) {
      expect((await one.docs.list()).map((info) => info.id).sort()).toEqual(["known", "new"])
    }
    expect(await textOf(again, "known")).toBe("tab hello world")
    expect(await textOf(again, "new")).toBe("tab ")
    // The tab's edit is only in the inbox: what is written now must not hide it.
    const handle = await again.docs.open("known")
    handle.doc.getText("body").insert(0, "holder ")
    await handle.saved()
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect(await textOf(after, "known")).toBe("holder tab hello world")
    expect(await textOf(after, "new")).toBe("tab ")
  })

  test("is taken in by the holder although its tab died before announcing it, also when others built upon it", async () => {
    const store = memoryStore()
    const time = createSimulatedTime()
    const options = { name: "notes", store, clock: time.clock() }
    const holder = await attachByHand(options)
    await holder.docs.import("x", snapshot)
    const here = await holder.docs.open("x")
    const dying = await attachByHand({ ...options, store: mute(store) })
    const last = await dying.docs.open("x")
    last.doc.getText("body").insert(0, "orphan ")
    await last.saved()
    const tab = await attachByHand(options)
    const there = await tab.docs.open("x")
    for (const word of ["one ", "two ", "three "]) {
      there.doc.getText("body").insert(0, word)
      await there.saved()
    }
    await time.runFor(2_000)
    expect(here.doc.getText("body").toString()).toBe("three two one orphan hello world")
    expect(await inboxOf(store)).toEqual([])

    // An entry that nothing builds on is found all the same.
    last.doc.getText("body").insert(0, "alone ")
    await last.saved()
    await time.runFor(25_000)
    expect(here.doc.getText("body").toString()).toContain("alone ")
    expect(there.doc.getText("body").toString()).toBe(here.doc.getText("body").toString())
    expect(await inboxOf(store)).toEqual([])
    expect([...holder.reports, ...tab.reports]).toEqual([])
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect(await textOf(after, "x")).toBe(here.doc.getText("body").toString())
  })

  test("is reported once when its base is missing, and taken in when the base comes", async () => {
    const [store, elsewhere] = [memoryStore(), memoryStore()]
    const time = createSimulatedTime()
    const author = await attachByHand({ name: "notes", store: elsewhere }, "cd".repeat(32))
    await author.docs.import("x", snapshot)
    const holder = await attachByHand({ name: "notes", store, clock: time.clock() })
    const here = await holder.docs.open("x")
    const raw = await store.open()
    await raw.commit({ inbox: [{ id: "x", bytes: push(honest) }] })
    await time.runFor(300_000)
    expect(await inboxOf(store)).toEqual(["x"])
    expect(holder.reports.map((report) => report.reason)).toEqual([
      expect.stringMatching(/stays in the store as inbox entry 1: it builds on edits that are not here/),
    ])
    await pull(holder, author, "x")
    await time.runFor(25_000)
    expect(await inboxOf(store)).toEqual([])
    await author.docs.import("x", honest)
    expect(here.doc.getText("body").toString()).toBe(await textOf(author, "x"))
    expect(holder.reports).toHaveLength(1)
  })

  test("that deletes is a deletion, whoever opens the document first", async () => {
    const store = memoryStore()
    const first = await attachByHand({ name: "notes", store })
    await first.docs.import("x", snapshot)
    await first.attached.detach()
    const holder = await attachByHand({ name: "notes", store })
    const tab = await attachByHand({ name: "notes", store: mute(store) })
    await tab.docs.delete("x")
    expect(await tab.docs.list()).toEqual([])
    await expect(holder.docs.open("x")).rejects.toMatchObject({ code: "document-deleted" })
    await holder.attached.detach()
    // The tab that deleted it becomes the holder, and moves its own entry.
    await expect.poll(() => inboxOf(store), { timeout: 30_000 }).toEqual([])
    await tab.attached.detach()
    const after = await attachByHand({ name: "notes", store })
    await expect(after.docs.open("x")).rejects.toMatchObject({ code: "document-deleted" })
  })

  test("survives that its tab becomes the holder and merges the log", async () => {
    const store = memoryStore()
    const time = createSimulatedTime()
    const holder = await attachByHand({ name: "notes", store })
    await holder.docs.import("x", snapshot)
    const tab = await attachByHand({ name: "notes", store: mute(store), clock: time.clock() })
    const handle = await tab.docs.open("x")
    handle.doc.getText("body").insert(0, "before ")
    await handle.saved()
    await holder.attached.detach()
    await expect.poll(() => inboxOf(store), { timeout: 30_000 }).toEqual([])
    for (let at = 0; at < 70; at++) {
      handle.doc.getText("body").push("k")
      await handle.saved()
    }
    await time.runFor(1_000)
    await handle.saved()
    const raw = await store.open()
    expect((await raw.load("x")).log.length).toBeLessThan(10)
    await raw.close()
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect(await textOf(after, "x")).toBe(`before hello world${"k".repeat(70)}`)
  })

  test("that was damaged on an encrypted disk hides no other", async () => {
    const disk = memoryStore()
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt",
    ])
    const store = encryptedStore(disk, key)
    const opened = await store.open()
    await opened.commit({ inbox: ["x", "y"].map((id) => ({ id, bytes: push(snapshot) })) })
    await opened.close()
    const raw = await disk.open()
    const [entry] = await raw.inbox(0, 1)
    await raw.commit({ inboxDeletes: [1], inbox: [{ id: entry?.id ?? "", bytes: new Uint8Array(60) }] })
    await raw.close()
    const a = await attachByHand({ name: "notes", store })
    expect(await textOf(a, "y")).toBe("hello world")
    expect(await inboxOf(disk)).toHaveLength(1)
  })
})

describe("a tab that takes over", () => {
  test("tries again while the store fails", async () => {
    const store = memoryStore()
    const time = createSimulatedTime()
    let failing = true
    const flaky = changedFor(store, (opened) => ({
      lastSequence: () =>
        failing && opened.lease.held.get() ? Promise.reject(new Error("busy")) : opened.lastSequence(),
    }))
    const holder = await attachByHand({ name: "notes", store })
    const tab = await attachByHand({ name: "notes", store: flaky, clock: time.clock() })
    const handle = await tab.docs.open("x")
    handle.doc.getText("body").insert(0, "typed ")
    await handle.saved()
    await holder.attached.detach()
    handle.doc.getText("body").insert(0, "later ")
    await handle.saved()
    await time.runFor(5_000)
    expect(await inboxOf(store)).not.toEqual([])
    failing = false
    await time.runFor(60_000)
    expect(await inboxOf(store)).toEqual([])
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect(await textOf(after, "x")).toBe("later typed ")
    expect((await after.docs.list()).map((info) => info.id)).toEqual(["x"])
  })

  test("gives up a document that cannot be read, and writes the others", async () => {
    const store = memoryStore()
    const time = createSimulatedTime()
    const holder = await attachByHand({ name: "notes", store })
    for (const id of ["bad", "good"]) await holder.docs.import(id, snapshot)
    let unreadable = false
    const damaged = changedFor(store, (opened) => ({
      load: (id) => (unreadable && id === "bad" ? Promise.reject(new Error("bad sector")) : opened.load(id)),
    }))
    const tab = await attachByHand({ name: "notes", store: damaged, clock: time.clock() })
    const [bad, good] = [await tab.docs.open("bad"), await tab.docs.open("good")]
    unreadable = true
    await holder.attached.detach()
    await time.runFor(120_000)
    good.doc.getText("body").insert(0, "goes on ")
    await good.saved()
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect(await textOf(after, "good")).toBe("goes on hello world")
    expect(bad.status.get()).toEqual({ phase: "closed" })
  })
  test("reports to its room what the tab before it stored and did not announce", async () => {
    const store = memoryStore()
    const setup = await attachByHand({ name: "notes", store })
    for (const id of ["edited", "deleted", "untouched"]) {
      await using handle = await setup.docs.open(id)
      handle.doc.getText("body").insert(0, id)
    }
    await setup.attached.detach()
    const holder = await attachByHand({ name: "notes", store: mute(store) })
    const tab = await attachByHand({ name: "notes", store })
    const events: DocumentsEvent[] = []
    tab.docs.subscribe((event) => void events.push(event))
    await using shown = await tab.docs.open("deleted")
    const edited = await holder.docs.open("edited")
    edited.doc.getText("body").push(" last")
    await edited.saved()
    const { hash } = readState(edited.doc)
    await holder.docs.delete("deleted")
    await holder.attached.detach()
    const told = (): ReadonlySet<string> => new Set(tab.changes.map((change) => change.key))
    await expect.poll(told, { timeout: 30_000 }).toEqual(new Set(["edited", "deleted"]))
    expect(new Map(tab.changes.map((change) => [change.key, change.stateHash]))).toEqual(
      new Map([
        ["edited", hash],
        ["deleted", TOMBSTONE_HASH],
      ]),
    )
    expect(shown.status.get().phase).toBe("deleted")
    expect(events).toEqual([{ type: "deleted", id: "deleted", origin: "tab" }])
  })
})
