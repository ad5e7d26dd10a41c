import { expect, test } from "vitest"

import type { DocumentStore, OpenDocumentStore } from "../src/store/document-store.ts"

/** What the replica expects of every store, whatever it is made of. */
export function storeContract(
  create: () => Promise<DocumentStore> | DocumentStore,
  options: { readonly shared: boolean | "no-locks" },
): void {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  const text = (stored: Uint8Array | null | undefined): string | null =>
    stored === null || stored === undefined ? null : new TextDecoder().decode(stored)

  const withStore = async (
    use: (store: OpenDocumentStore, again: () => Promise<OpenDocumentStore>) => Promise<void>,
  ): Promise<void> => {
    const store = await create()
    let open = await store.open()
    try {
      await use(open, async () => {
        await open.close()
        open = await store.open()
        return open
      })
    } finally {
      await open.close()
    }
  }

  test("is empty at first, with an epoch that stays", () =>
    withStore(async (store, again) => {
      const { epoch } = store
      expect(epoch).toHaveLength(16)
      expect(await store.lastSequence()).toBe(0)
      expect(await store.rows(["a"])).toEqual([null])
      expect(await store.load("a")).toEqual({ row: null, snapshot: null, log: [], inbox: [] })
      expect(await store.blob("index")).toBeNull()
      const reopened = await again()
      expect([...reopened.epoch]).toEqual([...epoch])
    }))

  test("keeps rows, logs, snapshots and blobs over a restart", () =>
    withStore(async (store, again) => {
      await store.commit({
        rows: [
          { id: "a", sequence: 1, bytes: bytes("row a") },
          { id: "ä/🐦", sequence: 2, bytes: bytes("row b") },
        ],
        logs: [
          { id: "a", sequence: 0, bytes: bytes("log 0") },
          { id: "a", sequence: 10, bytes: bytes("log 10") },
          { id: "a", sequence: 9, bytes: bytes("log 9") },
          { id: "aa", sequence: 1, bytes: bytes("other") },
        ],
        snapshots: [{ id: "a", bytes: bytes("snapshot") }],
        blobs: [{ name: "index", bytes: bytes("blob") }],
      })
      const reopened = await again()
      const a = await reopened.load("a")
      expect(text(a.row)).toBe("row a")
      expect(text(a.snapshot)).toBe("snapshot")
      expect(a.log.map((entry) => [entry.sequence, text(entry.bytes)])).toEqual([
        [0, "log 0"],
        [9, "log 9"],
        [10, "log 10"],
      ])
      expect((await reopened.rows(["ä/🐦", "no", "a"])).map(text)).toEqual(["row b", null, "row a"])
      expect(text(await reopened.blob("index"))).toBe("blob")
      expect(await reopened.lastSequence()).toBe(2)
    }))

  test("gives rows in the order of their last change", () =>
    withStore(async (store) => {
      for (let at = 1; at <= 30; at++) {
        await store.commit({ rows: [{ id: `doc-${at % 10}`, sequence: at, bytes: bytes(`row ${at}`) }] })
      }
      const rows = await store.changes(0, 100)
      expect(rows.map((row) => row.sequence)).toEqual([21, 22, 23, 24, 25, 26, 27, 28, 29, 30])
      expect(rows.map((row) => row.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0].map((at) => `doc-${at}`))
      expect((await store.changes(25, 2)).map((row) => text(row.bytes))).toEqual(["row 26", "row 27"])
      expect(await store.changes(30, 2)).toEqual([])
    }))

  test("folds a log in one batch: trims come first", () =>
    withStore(async (store) => {
      await store.commit({
        logs: [0, 1, 2, 3].map((sequence) => ({ id: "a", sequence, bytes: bytes(`${sequence}`) })),
      })
      await store.commit({
        trims: [{ id: "a", from: 0, through: 2 }],
        logs: [{ id: "a", sequence: 2, bytes: bytes("folded") }],
        snapshots: [{ id: "a", bytes: bytes("s") }],
      })
      const { log, snapshot } = await store.load("a")
      expect(log.map((entry) => text(entry.bytes))).toEqual(["folded", "3"])
      expect(text(snapshot)).toBe("s")
      await store.commit({
        trims: [{ id: "a", from: 0, through: 99 }],
        snapshots: [{ id: "a", bytes: null }],
        blobs: [{ name: "x", bytes: null }],
      })
      expect(await store.load("a")).toMatchObject({ log: [], snapshot: null })
    }))

  test("keeps documents apart whatever a peer calls them", () =>
    withStore(async (store) => {
      const long = "z".repeat(64)
      // In the keys of many databases, numbers, ends of texts and escapes begin with such characters.
      const ids = Array.from({ length: 40 }, (_, code) => `a${String.fromCharCode(code)}`).flatMap((id) => [
        id,
        `a\0${id.slice(1)}${long}`,
        `${id}${long}`,
        `${long}${id}`,
      ])
      ids.push("a", "a\x7f", "a\x7f00", "\0".repeat(512), "\x01".repeat(512))
      await store.commit({
        logs: ids.flatMap((id) =>
          [0, 1, 2].map((sequence) => ({ id, sequence, bytes: bytes(`${id} ${sequence}`) })),
        ),
        snapshots: ids.map((id) => ({ id, bytes: bytes(`snapshot ${id}`) })),
        rows: ids.map((id, at) => ({ id, sequence: at + 1, bytes: bytes(`row ${id}`) })),
      })
      await store.commit({ trims: [{ id: "a", from: 0, through: 99 }] })
      for (const id of ids) {
        const { row, snapshot, log } = await store.load(id)
        expect(log.map((entry) => [entry.sequence, text(entry.bytes)])).toEqual(
          id === "a" ? [] : [0, 1, 2].map((sequence) => [sequence, `${id} ${sequence}`]),
        )
        expect([text(row), text(snapshot)]).toEqual([`row ${id}`, `snapshot ${id}`])
      }
      expect((await store.changes(0, ids.length)).map((changed) => changed.id)).toEqual(ids)
    }))

  test("takes nothing of a batch that fails in the middle", () =>
    withStore(async (store, again) => {
      await store.commit({ logs: [{ id: "a", sequence: 0, bytes: bytes("kept") }] })
      const failing = store.commit({
        trims: [{ id: "a", from: 0, through: 0 }],
        logs: [{ id: "a", sequence: 1, bytes: bytes("folded") }],
        // Fails as it would without memory for a copy.
        snapshots: [{ id: "a", bytes: {} as Uint8Array }],
      })
      await expect(failing).rejects.toThrow()
      const reopened = await again()
      const { log, snapshot } = await reopened.load("a")
      expect(log.map((entry) => text(entry.bytes))).toEqual(["kept"])
      expect(snapshot).toBeNull()
      await reopened.commit({ snapshots: [{ id: "a", bytes: bytes("whole") }] })
      expect(text((await reopened.load("a")).snapshot)).toBe("whole")
    }))

  test("keeps an inbox whose keys are never given twice", () =>
    withStore(async (store, again) => {
      const keys = await store.commit({
        inbox: [
          { id: "a", bytes: bytes("one") },
          { id: "b", bytes: bytes("two") },
        ],
      })
      expect(keys).toHaveLength(2)
      expect((await store.load("b")).inbox.map((entry) => [entry.key, text(entry.bytes)])).toEqual([
        [keys[1], "two"],
      ])
      expect((await store.inbox(0, 10)).map((entry) => [entry.key, entry.id])).toEqual([
        [keys[0], "a"],
        [keys[1], "b"],
      ])
      expect(await store.inbox(keys[0] ?? 0, 10)).toHaveLength(1)
      await store.commit({ inboxDeletes: [...keys] })
      const reopened = await again()
      expect(await reopened.inbox(0, 10)).toEqual([])
      const [later] = await reopened.commit({ inbox: [{ id: "a", bytes: bytes("three") }] })
      expect(later).toBeGreaterThan(keys[1] ?? 0)
    }))

  test("keeps large values as they are", () =>
    withStore(async (store, again) => {
      const large = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 31) & 0xff)
      await store.commit({
        snapshots: [{ id: "large", bytes: large }],
        logs: [{ id: "large", sequence: 0, bytes: large.subarray(5, 9) }],
      })
      const { snapshot, log } = await (await again()).load("large")
      expect(snapshot?.length).toBe(large.length)
      expect(snapshot !== null && Buffer.compare(snapshot, large)).toBe(0)
      expect([...(log[0]?.bytes ?? [])]).toEqual([...large.subarray(5, 9)])
    }))

  test("says that it is closed", async () => {
    const store = await (await create()).open()
    await store.close()
    await store.close()
    await expect(store.commit({ blobs: [{ name: "x", bytes: bytes("y") }] })).rejects.toMatchObject({
      code: "closed",
    })
  })

  if (options.shared === true) {
    test("gives its lease to one opener, then to the next", async () => {
      const store = await create()
      const [first, second] = [await store.open(), await store.open()]
      expect([first.lease.held.get(), second.lease.held.get()]).toEqual([true, false])
      const heard: string[] = []
      second.lease.subscribe((message) => void heard.push(text(message) ?? ""))
      first.lease.post(bytes("to the others"))
      await expect.poll(() => heard, { timeout: 30_000 }).toEqual(["to the others"])
      await first.close()
      await expect.poll(() => second.lease.held.get(), { timeout: 30_000 }).toBe(true)
      await second.close()
    })
  } else if (!options.shared) {
    test("is open once at a time", async () => {
      const store = await create()
      const first = await store.open()
      await expect(store.open()).rejects.toMatchObject({ code: "store-in-use" })
      await first.close()
      await (await store.open()).close()
    })
  }
}
