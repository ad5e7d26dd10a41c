import { createSimulatedTime } from "@dunlin/core/testing"
import { LoroDoc } from "loro-crdt"
import { afterEach, expect, test } from "vitest"

import { failingStore } from "../test/failing-store.ts"
import { attachByHand, type HandDriven, pull, push } from "../test/hand-driven.ts"
import { readFrom, writeTo } from "../test/tamper.ts"
import type { DocumentStore } from "./store/document-store.ts"
import { memoryStore, type MemoryStore } from "./store/memory-store.ts"

const attached: HandDriven[] = []
afterEach(async () => {
  for (const one of attached.splice(0)) await one.attached.detach()
})

async function start(store = memoryStore(), device?: string): Promise<HandDriven> {
  const one = await attachByHand({ name: "notes", store }, device)
  attached.push(one)
  return one
}

function documentOf(text: string): LoroDoc {
  const doc = new LoroDoc()
  doc.getText("body").insert(0, text)
  doc.commit()
  return doc
}

/** Longer than it takes to send and store an edit. */
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50))

test("a document of the application is left alone once it is closed", async () => {
  const [a, b] = [await start(), await start(memoryStore(), "cd".repeat(32))]
  const own = documentOf("mine ")
  const handle = await a.docs.attach("x", own)
  await handle.saved()
  await pull(b, a, "x")
  a.changes.splice(0)
  await handle.close()
  own.getText("body").insert(0, "private ")
  own.commit()
  await pause()
  expect(a.changes).toEqual([])
  b.changes.splice(0)
  await writeTo(b, "x", "theirs")
  await push(b, a)
  expect(own.getText("body").toString()).toBe("private mine ")
  expect(await readFrom(a, "x")).toBe("mine theirs")
  own.free()
  await writeTo(a, "x", "!")
  expect(await readFrom(a, "x")).toBe("mine theirs!")
  expect(a.reports).toEqual([])
})

test("what could not be stored of it when it was closed is stored later", async () => {
  const store = failingStore()
  const time = createSimulatedTime()
  const a = await attachByHand({ name: "notes", store, clock: time.clock() })
  const own = documentOf("mine ")
  const handle = await a.docs.attach("x", own)
  await handle.saved()
  store.failing = true
  own.getText("body").push("late ")
  await expect(handle.close()).rejects.toMatchObject({ code: "storage-failed" })
  own.free()
  store.failing = false
  await time.runFor(10_000)
  expect(await readFrom(await start(store.disk.copy()), "x")).toBe("mine late ")
  await a.attached.detach()
})

test("one document of the application is not attached under two ids", async () => {
  const a = await start()
  const own = documentOf("mine ")
  const first = await a.docs.attach("x", own)
  await expect(a.docs.attach("y", own)).rejects.toMatchObject({
    code: "document-open",
    message: expect.stringContaining('open as document "x"'),
  })
  await first.close()
  const second = await a.docs.attach("y", own)
  own.getText("body").push("more")
  await second.close()
  expect([await readFrom(a, "x"), await readFrom(a, "y")]).toEqual(["mine ", "mine more"])
  expect(a.reports).toEqual([])
})

test("the document of the application goes on under another id when it was deleted under the first", async () => {
  const a = await start()
  const own = documentOf("mine ")
  const first = await a.docs.attach("x", own)
  await first.saved()
  await a.docs.delete("x")
  await first.close()
  const second = await a.docs.attach("y", own)
  own.getText("body").push("more")
  await second.close()
  expect(await readFrom(a, "y")).toBe("mine more")
})

/** A disk that holds "two " without "one ", on which it builds: the process died between the two writes. "one " is on a peer. */
async function tornDisk(): Promise<{ readonly torn: MemoryStore; readonly peer: HandDriven }> {
  const disk = memoryStore()
  let torn: MemoryStore | null = null
  let failAt = Number.POSITIVE_INFINITY
  const store: DocumentStore = {
    name: "torn",
    async open() {
      const opened = await disk.open()
      return {
        ...opened,
        async commit(batch) {
          const left = failAt--
          await new Promise((resolve) => setImmediate(resolve))
          if (left === 1) throw new Error("no space left")
          const keys = await opened.commit(batch)
          if (left === 0) torn = disk.copy()
          return keys
        },
      }
    },
  }
  const a = await attachByHand({ name: "notes", store })
  attached.push(a)
  const peer = await start(memoryStore(), "cd".repeat(32))
  const note = await a.docs.open("x")
  note.doc.getText("body").push("base ")
  await note.saved()
  await push(a, peer)
  failAt = 1
  const saves: Promise<unknown>[] = []
  for (const word of ["one ", "two "]) {
    note.doc.getText("body").push(word)
    saves.push(note.saved())
    if (word === "one ") await push(a, peer)
  }
  await Promise.all(saves)
  if (torn === null) throw new Error("the disk was never torn")
  return { torn, peer }
}

test("an update that waits for its base on the disk is not lost to the document of the application", async () => {
  const { torn, peer } = await tornDisk()
  expect(await readFrom(peer, "x")).toBe("base one ")
  const time = createSimulatedTime()
  const a = await attachByHand({ name: "notes", store: torn, clock: time.clock() })
  const own = new LoroDoc()
  await a.docs.attach("x", own)
  expect(own.getText("body").toString()).toBe("base ")
  for (let key = 0; key < 70; key++) {
    own.getText("other").push("!")
    own.commit()
    await time.runFor(20)
  }
  await time.runFor(1_000)
  await pull(a, peer, "x")
  expect(own.getText("body").toString()).toBe("base one two ")
  await a.attached.detach()
  expect(await readFrom(await start(torn), "x")).toBe("base one two ")
})
