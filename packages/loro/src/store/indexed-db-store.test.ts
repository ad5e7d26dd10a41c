import "fake-indexeddb/auto"

import { afterEach, describe, expect, test, vi } from "vitest"

import { deleteIndexedDbStore, indexedDbStore } from "./indexed-db-store.ts"

afterEach(() => vi.unstubAllGlobals())

describe("without Web Locks", () => {
  test.each(["document", "importScripts"])(
    "a browser with %s is refused, and nothing is made",
    async (mark) => {
      vi.stubGlobal(mark, {})
      vi.stubGlobal("navigator", {})
      await expect(indexedDbStore("page").open()).rejects.toMatchObject({ code: "no-web-locks" })
      expect(await indexedDB.databases()).toEqual([])
    },
  )

  test("a program outside of browsers holds the store alone", async () => {
    vi.stubGlobal("navigator", undefined)
    const store = await indexedDbStore("program").open()
    expect(store.lease.held.get()).toBe(true)
    await store.close()
    await deleteIndexedDbStore("program")
  })
})

test("a lock that is refused leaves no open database behind", async () => {
  const locks = { request: () => Promise.reject(new DOMException("no", "SecurityError")) }
  vi.stubGlobal("navigator", { locks })
  const close = vi.spyOn(IDBDatabase.prototype, "close")
  await expect(indexedDbStore("refused").open()).rejects.toThrow("no")
  expect(close).toHaveBeenCalledOnce()
  await deleteIndexedDbStore("refused")
})
