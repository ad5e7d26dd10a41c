import { createSimulatedTime } from "@dunlin/core/testing"
import type { LoroDoc } from "loro-crdt"
import { afterEach, expect, test } from "vitest"

import type { LoroDocument } from "../src/loro-documents.ts"
import type { DocumentStore } from "../src/store/document-store.ts"
import type { MemoryStore } from "../src/store/memory-store.ts"
import { failingStore } from "./failing-store.ts"
import { attachByHand, type HandDriven, pull } from "./hand-driven.ts"
import { damageLog, readFrom, storeOf, tamper } from "./tamper.ts"

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

async function attach(store: DocumentStore, device?: string): Promise<HandDriven> {
  const one = await attachByHand({ name: "notes", store }, device)
  endings.push(() => one.attached.detach())
  return one
}

/** Loro fails when one of these is called on this instance. */
function breakDoc({ doc }: LoroDocument, calls: readonly (keyof LoroDoc)[]): void {
  const trap = (): never => {
    throw new WebAssembly.RuntimeError("unreachable")
  }
  for (const call of calls) Object.assign(doc, { [call]: trap })
}

/** Somebody types into an open document whose instance breaks, and whose store turns out to be damaged. */
async function typeAndBreak(store: MemoryStore, at: number): Promise<HandDriven> {
  const a = await attach(store)
  const handle = await a.docs.open("bad")
  const closed = new Promise<void>((resolve) => {
    handle.status.subscribe(({ phase }) => {
      if (phase === "closed") resolve()
    })
  })
  await damageLog(store, "bad", at)
  handle.doc.getText("body").push(" typed")
  breakDoc(handle, ["export", "oplogVersion"])
  handle.commit()
  await closed
  await handle.close()
  await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  return a
}

test("what was typed into a document that is damaged when it is read again is kept with what can be read", async () => {
  const store = await storeOf("one ", "two")
  const whole = await attach(store.copy(), "cd".repeat(32))
  const a = await typeAndBreak(store, 1)
  await tamper(store, async (raw) => expect((await raw.load("bad")).log).toHaveLength(2))
  await pull(a, whole, "bad")
  expect(await readFrom(a, "bad")).toBe("one two typed")
  await a.attached.detach()
  const again = await attach(store)
  expect(await readFrom(again, "bad")).toBe("one two typed")
  await pull(whole, again, "bad")
  expect(await readFrom(whole, "bad")).toBe("one two typed")
})

test("it is also kept if the application goes on with what can be read", async () => {
  const store = await storeOf("one ", "two")
  const whole = await attach(store.copy(), "cd".repeat(32))
  const a = await typeAndBreak(store, 1)
  await a.docs.import("bad", await a.docs.salvage("bad"))
  await a.attached.detach()
  const later = await attach(store)
  expect(await readFrom(later, "bad")).toBe("one ")
  // What was typed builds on what is missing, and waits for it.
  await pull(later, whole, "bad")
  expect(await readFrom(later, "bad")).toBe("one two typed")
})

test.each([
  { calls: ["oplogVersion"] as const, when: "at the next edit" },
  { calls: ["export"] as const, when: "when it is stored" },
])("what could not be stored when the instance broke $when is taken over by the next", async ({ calls }) => {
  const store = failingStore(await storeOf("one "))
  const time = createSimulatedTime()
  const a = await attachByHand({ name: "notes", store, clock: time.clock() })
  const handle = await a.docs.open("bad")
  store.failing = true
  handle.doc.getText("body").push("two ")
  await expect(handle.saved()).rejects.toMatchObject({ code: "storage-failed" })
  const broken = handle.doc
  broken.getText("body").push("three")
  breakDoc(handle, calls)
  handle.commit()
  await time.runFor(100)
  await expect.poll(() => handle.doc !== broken).toBe(true)
  expect(handle.doc.getText("body").toString()).toBe("one two three")
  store.failing = false
  await time.runFor(10_000)
  const after = await attach(store.disk.copy())
  expect(await readFrom(after, "bad")).toBe("one two three")
})
