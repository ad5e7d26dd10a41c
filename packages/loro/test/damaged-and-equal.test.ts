import { afterEach, expect, test } from "vitest"

import type { LoroDocuments } from "../src/loro-documents.ts"
import { loroReplica } from "../src/loro-replica.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"
import { type EngineNode, linkEngines, shareOn } from "./engine-network.ts"
import { attachByHand, type HandDriven, pull } from "./hand-driven.ts"
import { damageLog, readFrom, storeOf, tamper, writeTo } from "./tamper.ts"

const PEER = "cd".repeat(32)
const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

async function attach(store: MemoryStore, device?: string, maxIdleDocuments?: number): Promise<HandDriven> {
  const one = await attachByHand({ name: "notes", store, maxIdleDocuments }, device)
  endings.push(() => one.attached.detach())
  return one
}

async function share(store: MemoryStore): Promise<{ node: EngineNode; docs: LoroDocuments }> {
  const { node, handle } = await shareOn(loroReplica({ name: "notes", store }))
  endings.push(() => node.engine.close())
  return { node, docs: handle }
}

/** "one " is on two devices; "two " and "three" were written on one of them, whose disk then lost "two ". */
async function damaged() {
  const store = await storeOf("one ")
  const theirs = memoryStore()
  const [first, second] = [
    await attachByHand({ name: "notes", store }),
    await attachByHand({ name: "notes", store: theirs }, PEER),
  ]
  await pull(second, first, "bad")
  await second.attached.detach()
  await writeTo(first, "bad", "two ", "three")
  await first.attached.detach()
  const whole = store.copy()
  return { store, theirs, whole, lost: await damageLog(store, "bad", 1) }
}

const asideOf = async (store: MemoryStore): Promise<string> => {
  let found = ""
  await tamper(store, async (raw) => {
    found = Buffer.from((await raw.blob("damaged/bad")) ?? []).toString("hex")
  })
  return found
}

test("a document opens again if another device holds just as much, and the unreadable parts are kept", async () => {
  const { store, theirs, whole, lost } = await damaged()
  const a = await share(store)
  const b = await share(theirs)
  await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  linkEngines(a.node, b.node)
  await expect.poll(() => readFrom(a, "bad").catch(String), { timeout: 20_000 }).toBe("one ")
  expect(a.node.events.at(-1)).toContain("set aside")
  // A third device has all of it after all.
  const c = await share(whole)
  linkEngines(a.node, c.node)
  await expect.poll(() => readFrom(a, "bad"), { timeout: 20_000 }).toBe("one two three")
  await a.docs.synced()
  await a.node.engine.close()
  expect(await asideOf(store)).toContain(Buffer.from(lost).toString("hex"))
  const again = await attach(store)
  expect(await readFrom(again, "bad")).toBe("one two three")
  expect(again.reports).toEqual([])
})

test("it opens as well if the damage is noticed while both are linked", async () => {
  const { store, theirs } = await damaged()
  const a = await share(store)
  const b = await share(theirs)
  linkEngines(a.node, b.node)
  await expect.poll(() => readFrom(a, "bad").catch(String), { timeout: 20_000 }).toBe("one ")
  await writeTo({ docs: a.docs } as HandDriven, "bad", "more")
  await expect.poll(() => readFrom(b, "bad"), { timeout: 20_000 }).toBe("one more")
})

test.each(["asks", "is asked"])("the device that holds just as much is heard when it %s", async (side) => {
  const { store, theirs } = await damaged()
  const [a, peer] = [await attach(store), await attach(theirs, PEER)]
  await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  const told = a.changes.splice(0).at(-1)
  const events: string[] = []
  a.docs.subscribe(({ type, id, origin }) => void events.push(`${type} ${id} ${origin}`))
  if (side === "asks") await pull(peer, a, "bad")
  else await pull(a, peer, "bad")
  expect(await readFrom(a, "bad")).toBe("one ")
  expect(events).toEqual(["changed bad remote"])
  if (side === "asks") expect(a.changes).toMatchObject([{ key: "bad", before: told?.stateHash }])
  expect(peer.changes).toEqual([])
})

test("waiting for other devices ends although the document stays closed", async () => {
  const { store } = await damaged()
  const a = await share(store)
  const fresh = await share(memoryStore())
  await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  linkEngines(a.node, fresh.node)
  await expect.poll(() => readFrom(fresh, "bad"), { timeout: 20_000 }).toBe("one ")
  await Promise.all([a.docs.synced(), fresh.docs.synced()])
  await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
})

test("a device that was sent its part from here proves nothing, and neither does another tab", async () => {
  const { store } = await damaged()
  const a = await attach(store)
  const fresh = await attach(memoryStore(), "ef".repeat(32))
  const tab = await attach(store)
  await pull(fresh, a, "bad")
  for (const from of [fresh, tab]) {
    await pull(a, from, "bad")
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  }
})

test("such a device still proves nothing when the document has left memory and is read again", async () => {
  const { store } = await damaged()
  const a = await attach(store, undefined, 0)
  const fresh = await attach(memoryStore(), "ef".repeat(32))
  await pull(fresh, a, "bad")
  const reads = (): number => a.reports.filter(({ reason }) => reason.includes("waits for another")).length
  expect(reads()).toBeGreaterThan(0)
  const before = reads()
  await pull(a, fresh, "bad")
  expect(reads()).toBeGreaterThan(before)
  await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
})

test("a tab that holds all of it in memory writes it anew when it takes over", async () => {
  const store = await storeOf("one ", "two ", "three")
  const [holder, tab] = [await attach(store), await attach(store)]
  await using handle = await tab.docs.open("bad")
  expect(handle.doc.getText("body").toString()).toBe("one two three")
  await damageLog(store, "bad", 1)
  await holder.attached.detach()
  // The index is stored by whoever has taken over.
  const index = Uint8Array.of(1)
  await expect
    .poll(() => tab.attached.saveIndex(index).then(() => tab.attached.loadIndex()), { timeout: 20_000 })
    .toEqual(index)
  await tab.attached.detach()
  const again = await attach(store)
  expect(await readFrom(again, "bad")).toBe("one two three")
  expect(again.reports).toEqual([])
})

test("its other tabs open it too", async () => {
  const { store, theirs } = await damaged()
  const [holder, tab, peer] = [await attach(store), await attach(store), await attach(theirs, PEER)]
  for (const one of [holder, tab]) {
    await expect(one.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  }
  await pull(tab, peer, "bad")
  await expect.poll(() => readFrom(holder, "bad").catch(String), { timeout: 20_000 }).toBe("one ")
  expect(await readFrom(tab, "bad")).toBe("one ")
})
