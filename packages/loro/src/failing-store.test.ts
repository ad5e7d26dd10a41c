import { createSimulatedTime, type SimulatedTime } from "@dunlin/core/testing"
import { describe, expect, test } from "vitest"

import { failingStore, type FailingStore } from "../test/failing-store.ts"
import { attachByHand, type HandDriven, keysOf, pull } from "../test/hand-driven.ts"
import { encodeDelta } from "./replica/document-delta.ts"
import { TOMBSTONE_HASH } from "./replica/document-state.ts"
import type { DocumentStore } from "./store/document-store.ts"
import { memoryStore } from "./store/memory-store.ts"

const STRANGER = { session: "ee".repeat(16), device: "ee".repeat(32) }
const TOMBSTONE = encodeDelta({ type: "tombstone" })

async function holding(): Promise<{ a: HandDriven; store: FailingStore; time: SimulatedTime }> {
  const store = failingStore()
  const time = createSimulatedTime()
  const a = await attachByHand({ name: "notes", store, clock: time.clock() })
  await using handle = await a.docs.open("x")
  handle.doc.getText("body").insert(0, "hello")
  await handle.saved()
  a.changes.splice(0)
  return { a, store, time }
}

/** What a process that starts now finds on the disk. */
async function restarted(store: FailingStore): Promise<string> {
  const after = await attachByHand({ name: "notes", store: store.disk.copy() })
  try {
    await using handle = await after.docs.open("x")
    return handle.doc.getText("body").toString()
  } catch (error) {
    expect(error).toMatchObject({ code: "document-deleted" })
    return "deleted"
  } finally {
    await after.attached.detach()
  }
}

describe("a deletion that cannot be stored", () => {
  test("is not acknowledged, however often it is asked for, and is announced once it is stored", async () => {
    const { a, store } = await holding()
    store.failing = true
    await expect(a.docs.delete("x")).rejects.toMatchObject({ code: "storage-failed" })
    await expect(a.docs.delete("x")).rejects.toMatchObject({ code: "storage-failed" })
    expect(await restarted(store)).toBe("hello")
    expect(a.changes).toEqual([])
    store.failing = false
    await a.docs.delete("x")
    expect(await restarted(store)).toBe("deleted")
    expect(a.changes).toMatchObject([{ key: "x", stateHash: TOMBSTONE_HASH }])
    await a.docs.delete("x")
    expect(a.changes).toHaveLength(1)
  })

  test("is stored by itself later", async () => {
    const { a, store, time } = await holding()
    store.failing = true
    await expect(a.docs.delete("x")).rejects.toMatchObject({ code: "storage-failed" })
    await time.runFor(10_000)
    store.failing = false
    await time.runFor(10_000)
    expect(await restarted(store)).toBe("deleted")
    expect(a.changes).toMatchObject([{ key: "x", stateHash: TOMBSTONE_HASH }])
  })

  test("is not durable towards a peer either", async () => {
    const { a, store } = await holding()
    store.failing = true
    const entries = [{ key: "x", delta: TOMBSTONE }]
    await expect(a.attached.join(entries, STRANGER)).rejects.toThrow()
    await expect(a.attached.join(entries, STRANGER)).rejects.toThrow()
    store.failing = false
    expect(await a.attached.join(entries, STRANGER)).toMatchObject([
      { type: "joined", stateHash: TOMBSTONE_HASH },
    ])
    expect(await restarted(store)).toBe("deleted")
  })

  test("is never undone by an edit that failed before it", async () => {
    const { a, store, time } = await holding()
    const handle = await a.docs.open("x")
    store.failing = true
    handle.doc.getText("body").insert(0, "late ")
    await expect(handle.saved()).rejects.toMatchObject({ code: "storage-failed" })
    store.failing = false
    await a.docs.delete("x")
    await time.runFor(10_000)
    expect(await restarted(store)).toBe("deleted")
  })
})

test("a store that refuses all writes can still be read", async () => {
  const { a, store } = await holding()
  store.failing = true
  expect(await a.docs.list()).toMatchObject([{ id: "x" }])
  expect(await keysOf(a)).toEqual(["x"])
})

describe("an edit that cannot be stored", () => {
  test("is tried again by itself, and other tabs follow once it is there", async () => {
    const { a, store, time } = await holding()
    const tab = await attachByHand({ name: "notes", store: store.disk })
    await using there = await tab.docs.open("x")
    await using here = await a.docs.open("x")
    store.failing = true
    here.doc.getText("body").insert(0, "late ")
    here.commit()
    await time.runFor(1_000)
    expect(there.doc.getText("body").toString()).toBe("hello")
    store.failing = false
    await time.runFor(10_000)
    expect(await restarted(store)).toBe("late hello")
    await expect.poll(() => there.doc.getText("body").toString(), { timeout: 30_000 }).toBe("late hello")
  })

  test("is not acknowledged to one caller while it is tried again for another", async () => {
    const { a, store } = await holding()
    await using handle = await a.docs.open("x")
    store.failing = true
    handle.doc.getText("body").insert(0, "late ")
    const callers = await Promise.allSettled([handle.saved(), handle.saved(), handle.saved()])
    expect(callers.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"])
    store.failing = false
    await Promise.all([handle.saved(), handle.saved()])
    expect(await restarted(store)).toBe("late hello")
  })

  test.each([1, 2, 3, 4, 5, 6])(
    "is not acknowledged before all it builds on is stored (%i writes fail while somebody types)",
    async (failures) => {
      const { store: full } = await holding()
      let left = failures
      const store: DocumentStore = {
        name: "unsteady",
        async open() {
          const opened = await full.disk.open()
          return {
            ...opened,
            async commit(batch) {
              await new Promise((resolve) => setImmediate(resolve))
              if (left-- > 0) throw new Error("no space left")
              return opened.commit(batch)
            },
          }
        },
      }
      const time = createSimulatedTime()
      const a = await attachByHand({ name: "notes", store, clock: time.clock() })
      const handle = await a.docs.open("x")
      const checks: Promise<unknown>[] = []
      for (let word = 0; word < 8; word++) {
        handle.doc.getText("body").push(` w${word}`)
        const saved = handle.saved().then(
          async () => expect(await restarted(full)).toContain(`w${word}`),
          (error: unknown) => expect(error).toMatchObject({ code: "storage-failed" }),
        )
        checks.push(saved)
        for (let turn = 0; turn < word; turn++) await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(checks)
      await time.runFor(10_000)
      expect(await restarted(full)).toBe(handle.doc.getText("body").toString())
    },
  )

  test("is not acknowledged to a second peer that sends it while it is being stored for the first", async () => {
    const { a, store } = await holding()
    const b = await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32))
    await using theirs = await b.docs.open("x")
    theirs.doc.getText("body").insert(0, "theirs ")
    await theirs.saved()
    const [delta] = b.changes.flatMap((change) => change.delta ?? [])
    if (delta === undefined) throw new Error("nothing was pushed")
    const entries = [{ key: "x", delta }]
    store.failing = true
    const other = { session: "dd".repeat(16), device: "dd".repeat(32) }
    const joins = await Promise.allSettled([
      a.attached.join(entries, STRANGER),
      a.attached.join(entries, other),
    ])
    expect(joins.map(({ status }) => status)).toEqual(["rejected", "rejected"])
    store.failing = false
    expect(await a.attached.join(entries, other)).toMatchObject([{ type: "joined", changed: false }])
    expect(await restarted(store)).toContain("theirs ")
  })

  test("keeps an index that knows of it from being stored", async () => {
    const { a, store } = await holding()
    await using handle = await a.docs.open("x")
    store.failing = true
    handle.doc.getText("body").insert(0, "late ")
    await expect(handle.saved()).rejects.toMatchObject({ code: "storage-failed" })
    store.failing = false
    await expect(a.attached.saveIndex(Uint8Array.of(1))).rejects.toMatchObject({ code: "storage-failed" })
    await handle.saved()
    await a.attached.saveIndex(Uint8Array.of(1))
    expect(await a.attached.loadIndex()).toEqual(Uint8Array.of(1))
  })
  test("that Loro cannot export when it is tried again costs its instance, and not the process", async () => {
    const { a, store, time } = await holding()
    await using handle = await a.docs.open("x")
    store.failing = true
    handle.doc.getText("body").insert(0, "late ")
    await expect(handle.saved()).rejects.toMatchObject({ code: "storage-failed" })
    store.failing = false
    const broken = handle.doc
    broken.export = () => {
      throw new WebAssembly.RuntimeError("unreachable")
    }
    await time.runFor(10_000)
    expect(handle.doc).not.toBe(broken)
    expect(handle.doc.getText("body").toString()).toBe("late hello")
    expect(a.reports).toContainEqual(expect.objectContaining({ type: "quarantined", key: "x" }))
  })

  test("is still there when the log is folded after it, as it was to be when both failed", async () => {
    const { a, store, time } = await holding()
    await using handle = await a.docs.open("x")
    const type = async (count: number): Promise<void> => {
      for (; count > 0; count--) {
        handle.doc.getText("body").push(".")
        handle.commit()
        await time.runFor(20)
      }
    }
    // While somebody types without a pause, the log is folded at once at its 256th entry.
    await type(254)
    store.failing = true
    await type(1)
    store.failing = false
    await time.runFor(10_000)
    await type(70)
    await time.runFor(10_000)
    expect(await restarted(store)).toBe(`hello${".".repeat(325)}`)
  })
})

describe("a first snapshot that cannot be stored", () => {
  test("is still there when the log that it came into later is folded", async () => {
    const store = failingStore()
    const time = createSimulatedTime()
    const a = await attachByHand({ name: "notes", store, clock: time.clock() })
    const b = await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32))
    await using theirs = await b.docs.open("x")
    theirs.doc.getText("body").insert(0, "word ".repeat(300))
    await theirs.saved()
    store.failing = true
    await expect(pull(a, b, "x")).rejects.toThrow()
    store.failing = false
    await time.runFor(10_000)
    expect(await restarted(store)).toHaveLength(1_500)
    await using ours = await a.docs.open("x")
    for (let count = 0; count < 70; count++) {
      ours.doc.getText("body").push(".")
      ours.commit()
      await time.runFor(20)
    }
    await time.runFor(1_000)
    expect(await restarted(store)).toHaveLength(1_570)
  })
})
