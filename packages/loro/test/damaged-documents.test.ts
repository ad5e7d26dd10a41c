import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

import { open as openLmdb } from "lmdb"
import { afterEach, describe, expect, test } from "vitest"

import { lmdbStore } from "../src/lmdb/lmdb-store.ts"
import type { DocumentStore, OpenDocumentStore } from "../src/store/document-store.ts"
import { encryptedStore } from "../src/store/encrypted-store.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"
import { loroReplica } from "../src/loro-replica.ts"
import { createEngineNode, linkEngines } from "./engine-network.ts"
import { attachByHand, type HandDriven, keysOf, pull } from "./hand-driven.ts"

const attached: HandDriven[] = []
afterEach(async () => {
  await Promise.all(attached.splice(0).map((one) => one.attached.detach()))
})

async function attach(store: DocumentStore, device?: string): Promise<HandDriven> {
  const one = await attachByHand({ name: "notes", store }, device)
  attached.push(one)
  return one
}

async function write(to: HandDriven, id: string, ...texts: readonly string[]): Promise<void> {
  await using handle = await to.docs.open(id)
  for (const text of texts) {
    handle.doc.getText("body").push(text)
    await handle.saved()
  }
}

async function read(from: HandDriven, id: string): Promise<string> {
  await using handle = await from.docs.open(id)
  return handle.doc.getText("body").toString()
}

async function tamper(store: MemoryStore, work: (raw: OpenDocumentStore) => Promise<unknown>): Promise<void> {
  const raw = await store.open()
  await work(raw)
  await raw.close()
}

/** A store that holds "bad" and "good", each of three updates, closed. */
async function storeOfTwo(
  wrap: (store: MemoryStore) => DocumentStore = (store) => store,
): Promise<MemoryStore> {
  const store = memoryStore()
  const first = await attachByHand({ name: "notes", store: wrap(store) })
  for (const id of ["bad", "good"]) await write(first, id, "one ", "two ", "three")
  await first.attached.detach()
  return store
}

async function makeKey(): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
}

const rowOf = async (raw: OpenDocumentStore, id: string): Promise<Uint8Array> =>
  (await raw.rows([id]))[0] ?? new Uint8Array(0)

const damages: readonly (readonly [string, (row: Uint8Array) => Uint8Array])[] = [
  ["that is empty", () => new Uint8Array(0)],
  ["that was cut", (row) => row.slice(0, 20)],
  ["that is longer than it says", (row) => Uint8Array.from([...row, 1, 2, 3])],
  [
    "whose document became a deleted one by a bit",
    (row) => row.map((byte, at) => (at === 1 ? byte ^ 1 : byte)),
  ],
  ["of noise", (row) => row.map((byte, at) => (at === 0 ? byte : byte ^ 0xa5))],
]

describe("a damaged row", () => {
  test.each(damages)("%s affects no other document, and is rebuilt from its own", async (_, damage) => {
    const store = await storeOfTwo()
    await tamper(store, async (raw) =>
      raw.commit({ rows: [{ id: "bad", sequence: 100, bytes: damage(await rowOf(raw, "bad")) }] }),
    )
    const a = await attach(store)
    expect(new Set(await keysOf(a))).toEqual(new Set(["bad", "good"]))
    expect((await a.docs.list()).map(({ id }) => id).sort()).toEqual(["bad", "good"])
    for (const id of ["bad", "good"]) expect(await read(a, id)).toBe("one two three")
    const peer = await attach(memoryStore(), "cd".repeat(32))
    for (const id of ["bad", "good"]) expect(await pull(peer, a, id)).toBe(true)
    expect(a.reports.map(({ type }) => type)).toContain("warning")
    await attached.shift()?.attached.detach()
    const again = await attach(store)
    expect(new Set(await keysOf(again))).toEqual(new Set(["bad", "good"]))
    expect(again.reports).toEqual([])
  })

  test("has an answer of its own, and spoils no other of its batch", async () => {
    const store = await storeOfTwo()
    const a = await attach(store)
    await tamper(store, (raw) =>
      raw.commit({ rows: [{ id: "bad", sequence: 100, bytes: new Uint8Array(3) }] }),
    )
    const summaries = await a.attached.summarize(["bad", "good"])
    expect(summaries.every((summary) => summary.length > 0)).toBe(true)
  })

  test("of a deletion still counts as one if its hash can be read", async () => {
    const store = await storeOfTwo()
    const first = await attach(store)
    await first.docs.delete("bad")
    await attached.pop()?.attached.detach()
    await tamper(store, async (raw) =>
      raw.commit({ rows: [{ id: "bad", sequence: 100, bytes: (await rowOf(raw, "bad")).slice(0, 40) }] }),
    )
    const a = await attach(store)
    expect(new Set(await keysOf(a))).toEqual(new Set(["bad", "good"]))
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-deleted" })
  })

  test("that does not tell whether its document was deleted counts neither way", async () => {
    const store = await storeOfTwo()
    const first = await attach(store)
    await first.docs.delete("bad")
    await attached.pop()?.attached.detach()
    await tamper(store, (raw) =>
      raw.commit({ rows: [{ id: "bad", sequence: 100, bytes: new Uint8Array(5) }] }),
    )
    const a = await attach(store)
    expect(await keysOf(a)).toContain("good")
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    const peer = await attach(memoryStore(), "cd".repeat(32))
    await pull(peer, a, "bad")
    expect(await peer.docs.list()).toEqual([])
    // A peer that knows of the deletion passes it on.
    const witness = await attach(memoryStore(), "ef".repeat(32))
    await write(witness, "bad", "x")
    await witness.docs.delete("bad")
    await pull(a, witness, "bad")
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-deleted" })
  })

  test("of a newer version of the application is left alone", async () => {
    const store = await storeOfTwo()
    const newer = Uint8Array.of(2, 9, 9, 9)
    await tamper(store, (raw) => raw.commit({ rows: [{ id: "bad", sequence: 100, bytes: newer }] }))
    const a = await attach(store)
    expect(await keysOf(a)).toEqual(["good"])
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    expect(a.reports).toMatchObject([{ type: "quarantined", key: "bad" }])
    await tamper(store, async (raw) => expect(await rowOf(raw, "bad")).toEqual(newer))
  })
})

describe("a document of which something cannot be read", () => {
  /** The second of three updates is damaged: the first can be read, the third waits for the second. */
  const damageLog = (store: MemoryStore): Promise<void> =>
    tamper(store, async (raw) => {
      const { log } = await raw.load("bad")
      const second = log[1]
      if (second === undefined) throw new Error("no second update")
      await raw.commit({
        logs: [{ id: "bad", sequence: second.sequence, bytes: second.bytes.map((byte) => byte ^ 1) }],
      })
    })

  test("is set aside, and says what to do", async () => {
    const store = await storeOfTwo()
    await damageLog(store)
    const before = JSON.stringify(await contentsOf(store, "bad"))
    const a = await attach(store)
    expect(new Set(await keysOf(a))).toEqual(new Set(["bad", "good"]))
    expect(await read(a, "good")).toBe("one two three")
    for (const reject of [a.docs.open("bad"), a.docs.export("bad")]) {
      await expect(reject).rejects.toMatchObject({
        code: "document-corrupt",
        message: expect.stringContaining("another device"),
      })
    }
    expect(a.reports).toMatchObject([{ type: "quarantined", key: "bad" }])
    expect((await a.docs.list()).map(({ id }) => id).sort()).toEqual(["bad", "good"])
    // Nothing stored of the document was touched.
    expect(JSON.stringify(await contentsOf(store, "bad"))).toBe(before)
  })

  test("is whole again when another device has sent what it holds of it", async () => {
    const store = await storeOfTwo()
    const peer = await attach(memoryStore(), "cd".repeat(32))
    const first = await attachByHand({ name: "notes", store })
    await pull(peer, first, "bad")
    await first.attached.detach()
    await write(peer, "bad", " four")
    await damageLog(store)
    const a = await attach(store)
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    const events: string[] = []
    a.docs.subscribe(({ type, id }) => void events.push(`${type} ${id}`))
    await pull(a, peer, "bad")
    expect(events).toEqual(["changed bad"])
    expect(await read(a, "bad")).toBe("one two three four")
    await write(a, "bad", " five")
    await attached.pop()?.attached.detach()
    const again = await attach(store)
    expect(await read(again, "bad")).toBe("one two three four five")
    expect(again.reports).toEqual([])
    // Everything that the document held is there again: nothing is left to be set aside.
    await tamper(store, async (raw) => expect(await raw.blob("damaged/bad")).toBeNull())
  })

  test("goes on with what there is when its last edits are nowhere else, and keeps the rest aside", async () => {
    const store = await storeOfTwo()
    const peer = await attach(memoryStore(), "cd".repeat(32))
    const first = await attachByHand({ name: "notes", store })
    await pull(peer, first, "bad")
    await write(first, "bad", " lost", " kept?")
    await first.attached.detach()
    await write(peer, "bad", " four")
    let damaged = new Uint8Array(0)
    await tamper(store, async (raw) => {
      const lost = (await raw.load("bad")).log[3]
      if (lost === undefined) throw new Error("no fourth update")
      damaged = lost.bytes.map((byte) => byte ^ 1)
      await raw.commit({ logs: [{ id: "bad", sequence: lost.sequence, bytes: damaged }] })
    })
    const a = await attach(store)
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    await pull(a, peer, "bad")
    expect(await read(a, "bad")).toBe("one two three four")
    expect(a.reports.at(-1)).toMatchObject({ type: "warning", reason: expect.stringContaining("set aside") })
    await write(a, "bad", " five")
    await attached.pop()?.attached.detach()
    const again = await attach(store)
    expect(await read(again, "bad")).toBe("one two three four five")
    expect(again.reports).toEqual([])
    const aside = async (): Promise<string> => {
      let found = ""
      await tamper(store, async (raw) => {
        found = Buffer.from((await raw.blob("damaged/bad")) ?? []).toString("hex")
      })
      return found
    }
    expect(await aside()).toContain(Buffer.from(damaged).toString("hex"))
    await again.docs.delete("bad")
    expect(await aside()).toBe("")
  })

  test("is not sent to others as it lies there", async () => {
    const store = memoryStore()
    const first = await attachByHand({ name: "notes", store })
    const peer = await attach(memoryStore(), "cd".repeat(32))
    await write(peer, "bad", "a long text ".repeat(200))
    await pull(first, peer, "bad")
    await first.attached.detach()
    await tamper(store, async (raw) => {
      const { snapshot } = await raw.load("bad")
      if (snapshot === null) throw new Error("no snapshot")
      await raw.commit({
        snapshots: [{ id: "bad", bytes: snapshot.map((byte, at) => (at === 99 ? byte ^ 1 : byte)) }],
      })
    })
    const a = await attach(store)
    const other = await attach(memoryStore(), "ef".repeat(32))
    await pull(other, a, "bad")
    // If the peer refused the document, it would not ask for it again once it is whole here.
    expect(other.reports).toEqual([])
    expect(a.reports).toMatchObject([{ type: "quarantined", key: "bad" }])
    await pull(a, peer, "bad")
    await pull(other, a, "bad")
    expect(await read(other, "bad")).toBe("a long text ".repeat(200))
  })

  test("stays closed where another device has no more of it than can be read here", async () => {
    const store = await storeOfTwo()
    await damageLog(store)
    const a = await attach(store)
    const behind = await attach(memoryStore(), "cd".repeat(32))
    await pull(behind, a, "bad")
    expect(await read(behind, "bad")).toBe("one ")
    await pull(a, behind, "bad")
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  })

  test("keeps what it sets aside also where that is stored only at the second try", async () => {
    const store = await storeOfTwo()
    await damageLog(store)
    let isFull = true
    const a = await attach({
      name: "small",
      async open() {
        const opened = await store.open()
        return {
          ...opened,
          commit: (batch) => (isFull ? Promise.reject(new Error("no space left")) : opened.commit(batch)),
        }
      },
    })
    await expect(a.docs.import("bad", await a.docs.salvage("bad"))).rejects.toThrow("no space left")
    isFull = false
    await write(a, "bad", "four")
    await attached.pop()?.attached.detach()
    const again = await attach(store)
    expect(await read(again, "bad")).toBe("one four")
    await again.docs.import("good", await again.docs.export("good"))
    await tamper(store, async (raw) => expect(await raw.blob("damaged/bad")).not.toBeNull())
  })

  test("gives what can be read, which can be taken in again", async () => {
    const store = await storeOfTwo()
    await damageLog(store)
    const a = await attach(store)
    const salvaged = await a.docs.salvage("bad")
    await a.docs.import("copy", salvaged)
    expect(await read(a, "copy")).toBe("one ")
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    await a.docs.import("bad", salvaged)
    expect(await read(a, "bad")).toBe("one ")
    await attached.pop()?.attached.detach()
    const again = await attach(store)
    expect(await read(again, "bad")).toBe("one ")
  })

  test("can be deleted", async () => {
    const store = await storeOfTwo()
    await damageLog(store)
    const a = await attach(store)
    await a.docs.delete("bad")
    expect((await a.docs.list()).map(({ id }) => id)).toEqual(["good"])
    await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-deleted" })
  })

  test("is not opened as an empty one when all of it is gone but its row", async () => {
    const store = await storeOfTwo()
    await tamper(store, (raw) => raw.commit({ trims: [{ id: "bad", from: 0, through: 99 }] }))
    const a = await attach(store)
    const tab = await attach(store)
    for (const one of [a, tab]) {
      await expect(one.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    }
    // Nor does the tab that takes over open it.
    await attached.shift()?.attached.detach()
    await expect
      .poll(() =>
        tab.attached
          .saveIndex(Uint8Array.of(1))
          .then(() => store.copy().open())
          .then((raw) => raw.blob("index")),
      )
      .toEqual(Uint8Array.of(1))
    await expect(tab.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  })

  test("comes back over a link that is open, without anybody's doing", async () => {
    const store = await storeOfTwo()
    const [mine, theirs] = [createEngineNode(), createEngineNode()]
    const their = await theirs.engine.replicate(loroReplica({ name: "notes", store: memoryStore() }))
    const setup = createEngineNode()
    await setup.engine.replicate(loroReplica({ name: "notes", store }))
    const link = linkEngines(setup, theirs)
    await expect.poll(async () => (await their.list()).length, { timeout: 20_000 }).toBe(2)
    link.cut()
    await setup.engine.close()
    // All of it is damaged: nothing is left to tell peers about.
    await tamper(store, async (raw) => {
      const { log } = await raw.load("bad")
      await raw.commit({
        logs: log.map(({ sequence }) => ({ id: "bad", sequence, bytes: new Uint8Array(9) })),
      })
    })
    const my = await mine.engine.replicate(loroReplica({ name: "notes", store }))
    linkEngines(mine, theirs)
    const links = mine.engine
    await expect.poll(async () => (await my.list()).length, { timeout: 20_000 }).toBe(2)
    await my.synced()
    await expect(my.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    const opened = async (): Promise<string> => {
      try {
        await using handle = await my.open("bad")
        return handle.doc.getText("body").toString()
      } catch (error) {
        return String(error)
      }
    }
    await expect.poll(opened, { timeout: 20_000 }).toBe("one two three")
    await links.close()
    await theirs.engine.close()
  })
})

describe("an encrypted store", () => {
  test.each(["row", "log"])(
    "with one %s that does not open gives the others, and takes that one from a peer",
    async (part) => {
      const key = await makeKey()
      const store = await storeOfTwo((plain) => encryptedStore(plain, key))
      const peer = await attach(memoryStore(), "cd".repeat(32))
      const first = await attachByHand({ name: "notes", store: encryptedStore(store, key) })
      await pull(peer, first, "bad")
      await first.attached.detach()
      await tamper(store, async (raw) => {
        const [row] = await raw.changes(0, 1)
        const id = row?.id ?? ""
        if (part === "row") await raw.commit({ rows: [{ id, sequence: 100, bytes: new Uint8Array(90) }] })
        else await raw.commit({ logs: [{ id, sequence: 1, bytes: new Uint8Array(90) }] })
      })
      const a = await attach(encryptedStore(store, key))
      expect(await keysOf(a)).toContain("good")
      expect(await read(a, "good")).toBe("one two three")
      expect((await a.docs.list()).map(({ id }) => id)).toContain("good")
      if (part === "log") await expect(a.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
      await pull(a, peer, "bad")
      expect(await read(a, "bad")).toBe("one two three")
      await attached.pop()?.attached.detach()
      const again = await attach(encryptedStore(store, key))
      expect(new Set(await keysOf(again))).toEqual(new Set(["bad", "good"]))
      expect(again.reports).toEqual([])
    },
  )

  test("of which no row opens is refused as a whole", async () => {
    const key = await makeKey()
    const store = await storeOfTwo((plain) => encryptedStore(plain, key))
    await tamper(store, async (raw) => {
      const rows = await raw.changes(0, 10)
      await raw.commit({
        rows: rows.map((row) => ({ ...row, sequence: row.sequence + 100, bytes: new Uint8Array(90) })),
      })
    })
    await expect(attachByHand({ name: "notes", store: encryptedStore(store, key) })).rejects.toMatchObject({
      code: "wrong-key",
    })
  })

  test("does without an index that does not open", async () => {
    const key = await makeKey()
    const store = await storeOfTwo((plain) => encryptedStore(plain, key))
    await tamper(store, (raw) => raw.commit({ blobs: [{ name: "index", bytes: new Uint8Array(90) }] }))
    const a = await attach(encryptedStore(store, key))
    expect(await a.attached.loadIndex()).toBeNull()
  })
})

describe("a damaged document in several tabs", () => {
  /** A peer has what the two tabs of one store cannot read any more; the first of them holds the lease. */
  async function damagedInTwoTabs() {
    const store = await storeOfTwo()
    const peer = await attach(memoryStore(), "cd".repeat(32))
    const first = await attachByHand({ name: "notes", store })
    await pull(peer, first, "bad")
    await first.attached.detach()
    await tamper(store, (raw) => raw.commit({ logs: [{ id: "bad", sequence: 1, bytes: new Uint8Array(9) }] }))
    const [holder, tab] = [await attach(store), await attach(store)]
    return { store, peer, holder, tab }
  }

  test("that one of them got from a peer is mended by the one that writes, and opens in both", async () => {
    const { store, peer, holder, tab } = await damagedInTwoTabs()
    for (const one of [holder, tab]) {
      await expect(one.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    }
    await pull(tab, peer, "bad")
    await expect.poll(() => read(holder, "bad").catch(String), { timeout: 20_000 }).toBe("one two three")
    expect(await read(tab, "bad")).toBe("one two three")
    await write(tab, "bad", " four")
    await expect.poll(() => read(holder, "bad")).toBe("one two three four")
    const copy = await attach(store.copy())
    expect(await read(copy, "bad")).toBe("one two three four")
    expect(copy.reports).toEqual([])
  })

  test("that the one that writes got from a peer opens in the others", async () => {
    const { peer, holder, tab } = await damagedInTwoTabs()
    const events: string[] = []
    tab.docs.subscribe(({ type, id }) => void events.push(`${type} ${id}`))
    await expect(tab.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
    await pull(holder, peer, "bad")
    await expect.poll(() => events).toEqual(["changed bad"])
    expect(await read(tab, "bad")).toBe("one two three")
  })
})

test("a damaged document that goes on with what can be read opens in other tabs as well", async () => {
  const store = await storeOfTwo()
  await tamper(store, (raw) => raw.commit({ logs: [{ id: "bad", sequence: 1, bytes: new Uint8Array(9) }] }))
  const [holder, tab] = [await attach(store), await attach(store)]
  const events: string[] = []
  tab.docs.subscribe(({ type, id }) => void events.push(`${type} ${id}`))
  await expect(tab.docs.open("bad")).rejects.toMatchObject({ code: "document-corrupt" })
  await holder.docs.import("bad", await holder.docs.salvage("bad"))
  await expect.poll(() => events).toEqual(["changed bad"])
  expect(await read(tab, "bad")).toBe("one ")
})

test("what mends a document and cannot be stored at once is stored later", async () => {
  const store = await storeOfTwo()
  const peer = await attach(memoryStore(), "cd".repeat(32))
  const first = await attachByHand({ name: "notes", store })
  await pull(peer, first, "bad")
  await first.attached.detach()
  await tamper(store, (raw) => raw.commit({ logs: [{ id: "bad", sequence: 1, bytes: new Uint8Array(9) }] }))
  let isFull = true
  const a = await attach({
    name: "small",
    async open() {
      const opened = await store.open()
      return {
        ...opened,
        commit: (batch) =>
          isFull && (batch.snapshots?.length ?? 0) > 0
            ? Promise.reject(new Error("no space left"))
            : opened.commit(batch),
      }
    },
  })
  await expect(pull(a, peer, "bad")).rejects.toThrow("no space left")
  await write(a, "bad", " four")
  isFull = false
  await attached.pop()?.attached.detach()
  const again = await attach(store)
  expect(await read(again, "bad")).toBe("one two three four")
  expect(again.reports).toMatchObject([
    { type: "warning", reason: expect.stringContaining("nothing of it is missing") },
  ])
  await attached.pop()?.attached.detach()
  const last = await attach(store)
  expect(await read(last, "bad")).toBe("one two three four")
  expect(last.reports).toEqual([])
})

test("a row of an LMDB directory that is too short to be one fails no other", async () => {
  const path = await mkdtemp(join(tmpdir(), "dunlin-damaged-"))
  try {
    const first = await attachByHand({ name: "notes", store: lmdbStore({ path }) })
    for (const id of ["bad", "good"]) await write(first, id, "one ", "two")
    await first.attached.detach()
    const raw = openLmdb<Buffer, string>({ path, encoding: "binary", maxDbs: 8 })
    const rows = raw.openDB({ name: "rows", encoding: "binary" })
    await rows.put("bad", Buffer.alloc(3))
    await raw.close()
    const a = await attach(lmdbStore({ path }))
    expect(new Set(await keysOf(a))).toEqual(new Set(["bad", "good"]))
    for (const id of ["bad", "good"]) expect(await read(a, id)).toBe("one two")
    await write(a, "bad", " three")
    await attached.pop()?.attached.detach()
    const again = await attach(lmdbStore({ path }))
    expect(await read(again, "bad")).toBe("one two three")
    expect((await again.docs.list()).length).toBe(2)
    expect(again.reports).toEqual([])
    await attached.pop()?.attached.detach()
  } finally {
    await rm(path, { recursive: true, force: true })
  }
})

async function contentsOf(store: MemoryStore, id: string): Promise<unknown> {
  const raw = await store.open()
  try {
    return await raw.load(id)
  } finally {
    await raw.close()
  }
}
