import "fake-indexeddb/auto"

import { afterEach, describe, expect, test, vi } from "vitest"

import { deleteIndexedDbStore, indexedDbStore } from "./indexed-db-store.ts"

afterEach(() => vi.unstubAllGlobals())

describe("without Web Locks", () => {
  test.each(["document", "importScripts"])(
    "contexts with %s can use a store only one after the other",
    async (mark) => {
      vi.stubGlobal(mark, {})
      vi.stubGlobal("navigator", {})
      const first = await indexedDbStore("page").open()
      expect(first.lease.held.get()).toBe(true)
      for (let tries = 0; tries < 2; tries++) {
        await expect(indexedDbStore("page").open()).rejects.toMatchObject({ code: "store-in-use" })
      }
      const other = await indexedDbStore("other page").open()
      await other.close()
      await first.close()
      const next = await indexedDbStore("page").open()
      await next.close()
      for (const name of ["page", "other page"]) await deleteIndexedDbStore(name)
      expect(await indexedDB.databases()).toEqual([])
    },
  )

  test("of tabs that open a store at the same moment exactly one gets it", async () => {
    vi.stubGlobal("document", {})
    vi.stubGlobal("navigator", {})
    const opening = Array.from({ length: 5 }, () => indexedDbStore("rush").open())
    const results = await Promise.allSettled(opening)
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
    for (const result of results) if (result.status === "fulfilled") await result.value.close()
    const next = await indexedDbStore("rush").open()
    // A deletion does not wait for those who have the store open.
    await deleteIndexedDbStore("rush")
    await next.close()
  })

  test("a store that was deleted under its tab is let go of, and says so", async () => {
    vi.stubGlobal("document", {})
    vi.stubGlobal("navigator", {})
    const first = await indexedDbStore("taken").open()
    await first.commit({ logs: [{ id: "x", sequence: 0, bytes: Uint8Array.of(1) }] })
    const reading = first.load("x")
    await deleteDatabase("dunlin-loro-taken")
    // What was under way ends as usual.
    expect((await reading).log).toHaveLength(1)
    for (const late of [first.load("x"), first.commit({ blobs: [{ name: "x", bytes: Uint8Array.of(1) }] })]) {
      await expect(late).rejects.toMatchObject({
        name: "LoroReplicaError",
        code: "storage-failed",
        message: expect.stringContaining("was deleted"),
      })
    }
    // The lost store neither writes to the next one nor keeps others from it.
    const next = await indexedDbStore("taken").open()
    expect(next.lease.held.get()).toBe(true)
    expect(() => first.lease.post(Uint8Array.of(1))).not.toThrow()
    await first.close()
    expect((await next.load("x")).log).toEqual([])
    await next.close()
    await deleteIndexedDbStore("taken")
  })

  test("a program outside of browsers holds the store alone", async () => {
    vi.stubGlobal("navigator", undefined)
    const store = await indexedDbStore("program").open()
    expect(store.lease.held.get()).toBe(true)
    await store.close()
    await deleteIndexedDbStore("program")
  })
})

function deleteDatabase(name: string): Promise<unknown> {
  const deleting = indexedDB.deleteDatabase(name)
  return new Promise((resolve) => deleting.addEventListener("success", resolve))
}

test("a lock that is refused leaves no open database behind", async () => {
  const locks = { request: () => Promise.reject(new DOMException("no", "SecurityError")) }
  vi.stubGlobal("navigator", { locks })
  const close = vi.spyOn(IDBDatabase.prototype, "close")
  await expect(indexedDbStore("refused").open()).rejects.toThrow("no")
  expect(close).toHaveBeenCalledOnce()
  await deleteIndexedDbStore("refused")
})

test("an opening that waits for the browser is given up with its signal, and leaves no database open", async () => {
  // Like a frozen tab, this connection lets go of nothing.
  const frozen = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open("dunlin-loro-held", 1)
    opening.addEventListener("success", () => resolve(opening.result))
    opening.addEventListener("error", () => reject(opening.error))
  })
  const deleting = indexedDB.deleteDatabase("dunlin-loro-held")
  await new Promise((resolve) => deleting.addEventListener("blocked", resolve))
  const closing = new AbortController()
  const opening = indexedDbStore("held").open({ signal: closing.signal })
  closing.abort(new Error("not wanted any more"))
  await expect(opening).rejects.toThrow("not wanted any more")
  frozen.close()
  // Nobody has it open, so it can be deleted.
  await deleteIndexedDbStore("held")
})
