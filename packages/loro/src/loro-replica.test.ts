import { LoroDoc } from "loro-crdt"
import { describe, expect, test } from "vitest"

import { LoroReplicaError } from "./loro-replica-error.ts"
import { loroReplica } from "./loro-replica.ts"
import type { DocumentStore } from "./store/document-store.ts"
import { memoryStore } from "./store/memory-store.ts"
import { attachByHand, type HandDriven, keysOf, pull, push } from "../test/hand-driven.ts"

const A = "aa".repeat(32)
const B = "bb".repeat(32)

async function pair(): Promise<{ a: HandDriven; b: HandDriven }> {
  return {
    a: await attachByHand({ name: "notes", store: memoryStore() }, A),
    b: await attachByHand({ name: "notes", store: memoryStore() }, B),
  }
}

async function type(replica: HandDriven, id: string, text: string): Promise<void> {
  await using handle = await replica.docs.open(id)
  handle.doc.getText("body").insert(0, text)
  handle.commit()
}

async function read(replica: HandDriven, id: string): Promise<string> {
  await using handle = await replica.docs.open(id)
  return handle.doc.getText("body").toString()
}

describe("a document", () => {
  test("travels to a peer that holds nothing of it", async () => {
    const { a, b } = await pair()
    await type(a, "welcome", "Hello, flock!")
    expect(await pull(b, a, "welcome")).toBe(true)
    expect(await read(b, "welcome")).toBe("Hello, flock!")
    expect(await pull(b, a, "welcome")).toBe(false)
  })

  test("edited on both sides becomes the same on both", async () => {
    const { a, b } = await pair()
    await type(a, "x", "one ")
    await pull(b, a, "x")
    await type(a, "x", "left ")
    await type(b, "x", "right ")
    // The sender is answered: one exchange suffices for both directions.
    await pull(b, a, "x")
    expect(await read(a, "x")).toBe(await read(b, "x"))
    expect((await a.attached.summarize(["x"]))[0]).toEqual((await b.attached.summarize(["x"]))[0])
  })

  test("is pushed as the binary delta alone, under 160 bytes a key press", async () => {
    const { a, b } = await pair()
    await using left = await a.docs.open("x")
    await using right = await b.docs.open("x")
    left.doc.getText("body").insert(0, "first")
    left.commit()
    await push(a, b)
    await new Promise((resolve) => setTimeout(resolve, 30))
    left.doc.getText("body").insert(5, "!")
    left.commit()
    expect(a.changes).toHaveLength(1)
    expect(a.changes[0]?.delta?.length).toBeLessThan(100)
    await push(a, b)
    expect(right.doc.getText("body").toString()).toBe("first!")
    expect(b.changes).toHaveLength(0)
  })

  test("is committed by itself if nobody commits its edits", async () => {
    const { a } = await pair()
    await using handle = await a.docs.open("x")
    const text = handle.doc.getText("body")
    await Promise.resolve()
    text.insert(0, "held container")
    await expect.poll(() => a.changes.length, { timeout: 30_000 }).toBe(1)
  })

  test("coalesces a burst into one change", async () => {
    const { a } = await pair()
    await using handle = await a.docs.open("x")
    for (let at = 0; at < 40; at++) {
      handle.doc.getText("body").insert(at, "x")
      handle.doc.commit()
    }
    await handle.saved()
    expect(a.changes).toHaveLength(1)
    expect(a.changes[0]?.delta?.length).toBeLessThan(40 * 20)
  })

  test("names its authors", async () => {
    const { a, b } = await pair()
    await type(a, "x", "by a")
    await pull(b, a, "x")
    await type(b, "x", "by b")
    await using handle = await b.docs.open("x")
    expect(handle.history.list().map((entry) => entry.device)).toEqual([B, A])
    const past = handle.history.at(handle.history.list()[1]?.version ?? [])
    expect(past.getText("body").toString()).toBe("by a")
    expect(() => past.getText("body").insert(0, "no")).toThrow()
    handle.history.restore(handle.history.list()[1]?.version ?? [])
    expect(handle.doc.getText("body").toString()).toBe("by a")
    expect(handle.history.list().map((entry) => entry.device)).toContain(B)
    await pull(a, b, "x")
    expect(await read(a, "x")).toBe("by a")
  })

  test("opened twice is one document; the second close lets it go", async () => {
    const { a } = await pair()
    const first = await a.docs.open("x")
    const second = await a.docs.open("x")
    expect(first.doc).toBe(second.doc)
    await first.close()
    await first.close()
    expect(() => first.doc).toThrow(LoroReplicaError)
    expect(second.doc.getText("body").toString()).toBe("")
    await second.close()
  })

  test("that is deleted stays deleted, whoever edits it", async () => {
    const { a, b } = await pair()
    await type(a, "x", "one")
    await pull(b, a, "x")
    await using edited = await b.docs.open("x")
    edited.doc.getText("body").insert(0, "late ")
    edited.commit()
    await a.docs.delete("x")
    await pull(a, b, "x")
    expect(edited.status.get()).toEqual({ phase: "deleted" })
    await expect(edited.saved()).rejects.toMatchObject({ code: "document-deleted" })
    await expect(a.docs.open("x")).rejects.toMatchObject({ code: "document-deleted" })
    await expect(b.docs.open("x")).rejects.toMatchObject({ code: "document-deleted" })
    expect((await a.attached.summarize(["x"]))[0]).toEqual((await b.attached.summarize(["x"]))[0])
    expect(await a.docs.list()).toEqual([])
    expect(await keysOf(a)).toEqual(["x"])
  })

  test("of the application can be attached, and stays the application's", async () => {
    const { a, b } = await pair()
    await type(a, "x", "stored ")
    const own = new LoroDoc()
    own.getText("body").insert(0, "mine ")
    own.commit()
    const handle = await a.docs.attach("x", own)
    expect(handle.doc).toBe(own)
    expect(own.getText("body").toString()).toContain("stored ")
    await expect(a.docs.attach("x", new LoroDoc())).rejects.toMatchObject({ code: "document-open" })
    await handle.saved()
    await pull(b, a, "x")
    expect(await read(b, "x")).toBe(own.getText("body").toString())
    await handle.close()
    expect(own.getText("body").toString()).toContain("mine")
  })

  test("that cannot be attached leaves the stored one as it is", async () => {
    const { a } = await pair()
    await type(a, "x", "stored ")
    const full = new LoroDoc()
    full.getText("body").insert(0, "cut off")
    full.commit()
    const shallow = new LoroDoc()
    shallow.import(full.export({ mode: "shallow-snapshot", frontiers: full.frontiers() }))
    await expect(a.docs.attach("x", shallow)).rejects.toMatchObject({ code: "invalid-update" })
    await using handle = await a.docs.open("x")
    expect(handle.doc.getText("body").toString()).toBe("stored ")
    handle.doc.getText("body").insert(0, "still ")
    await handle.saved()
  })

  test("is edited under a Loro peer id that nobody else has, also when it is the application's", async () => {
    const { a, b } = await pair()
    const [left, right] = [new LoroDoc(), new LoroDoc()]
    for (const doc of [left, right]) doc.setPeerId("1")
    await using here = await a.docs.attach("x", left)
    await using there = await b.docs.attach("x", right)
    here.doc.getText("body").insert(0, "left ")
    there.doc.getText("body").insert(0, "right ")
    here.commit()
    there.commit()
    await pull(b, a, "x")
    await pull(a, b, "x")
    expect(here.doc.getText("body").toString()).toHaveLength(11)
    expect(there.doc.getText("body").toString()).toBe(here.doc.getText("body").toString())
  })

  test("is imported and exported", async () => {
    const { a, b } = await pair()
    await type(a, "x", "in a file")
    const file = await a.docs.export("x")
    await b.docs.import("y", file)
    await b.docs.import("y", file)
    expect(await read(b, "y")).toBe("in a file")
    await expect(b.docs.import("y", new Uint8Array(40))).rejects.toMatchObject({ code: "invalid-update" })
    expect(b.changes).toHaveLength(1)
  })
})

describe("the store", () => {
  test("holds everything that was saved", async () => {
    const store = memoryStore()
    const before = await attachByHand({ name: "notes", store })
    const handle = await before.docs.open("x")
    for (let at = 0; at < 300; at++) {
      handle.doc.getText("body").insert(at, "x")
      handle.doc.commit()
      if (at % 3 === 0) await handle.saved()
    }
    await handle.saved()
    const disk = store.copy()
    const after = await attachByHand({ name: "notes", store: disk })
    expect((await read(after, "x")).length).toBe(300)
    await before.attached.detach()
    await after.attached.detach()
  })

  test("gives a document of many pastes at once", { timeout: 10_000 }, async () => {
    // Loro's `importBatch` takes quadratic time: half a minute for these two megabytes.
    const doc = new LoroDoc()
    const body = doc.getText("body")
    const paste = (): void => {
      for (let at = 0; at < 500; at++) {
        body.insert(body.length, `${at} and more. `.repeat(200))
        doc.commit()
      }
    }
    paste()
    const snapshot = doc.export({ mode: "snapshot" })
    const from = doc.oplogVersion()
    paste()
    const store = memoryStore()
    const before = await attachByHand({ name: "notes", store })
    await type(before, "x", "first")
    await before.attached.detach()
    const raw = await store.open()
    await raw.commit({
      trims: [{ id: "x", from: 0, through: 9 }],
      snapshots: [{ id: "x", bytes: snapshot }],
      logs: [{ id: "x", sequence: 10, bytes: doc.export({ mode: "update", from }) }],
    })
    await raw.close()
    const a = await attachByHand({ name: "notes", store })
    expect(await read(a, "x")).toBe(body.toString())
  })

  test("lets a closed document be read without being opened", async () => {
    const store = memoryStore()
    const { b } = await pair()
    const first = await attachByHand({ name: "notes", store })
    await type(first, "x", "closed")
    await first.attached.detach()
    const second = await attachByHand({ name: "notes", store })
    await pull(b, second, "x")
    expect(await read(b, "x")).toBe("closed")
    const cursors = []
    for await (const page of second.attached.scan(null)) cursors.push(page.cursor)
    const newer = []
    for await (const page of second.attached.scan(cursors[0] ?? null)) newer.push(page)
    expect(newer).toEqual([])
  })

  test("refuses a position of another store", async () => {
    const { a, b } = await pair()
    await type(a, "x", "one")
    const pages = []
    for await (const page of a.attached.scan(null)) pages.push(page)
    const foreign = b.attached.scan(pages[0]?.cursor ?? null)
    await expect(foreign[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "stale-cursor" })
  })

  test("frees the least recently used documents, and none that somebody has open", async () => {
    const a = await attachByHand({ name: "notes", store: memoryStore(), maxIdleDocuments: 3 })
    await using kept = await a.docs.open("kept")
    kept.doc.getText("body").insert(0, "open all the time")
    const docs: LoroDoc[] = []
    for (let at = 0; at < 6; at++) {
      await using handle = await a.docs.open(`doc-${at}`)
      handle.doc.getText("body").insert(0, `text ${at}`)
      docs.push(handle.doc)
    }
    const isFreed = (doc: LoroDoc): boolean => {
      try {
        return doc.opCount() < 0
      } catch {
        return true
      }
    }
    expect(docs.map(isFreed)).toEqual([true, true, true, false, false, false])
    expect(kept.doc.getText("body").toString()).toBe("open all the time")
  })

  test("frees what nobody uses and reads it again", async () => {
    const a = await attachByHand({ name: "notes", store: memoryStore(), maxIdleDocuments: 3 })
    for (let at = 0; at < 20; at++) await type(a, `doc-${at}`, `text ${at}`)
    for (let at = 0; at < 20; at++) expect(await read(a, `doc-${at}`)).toBe(`text ${at}`)
  })
})

describe("the application", () => {
  test("is told of every change and where it came from, until it does not want to be", async () => {
    const { a, b } = await pair()
    const events: string[] = []
    const unsubscribe = b.docs.subscribe(
      ({ type, id, origin }) => void events.push(`${type} ${id} ${origin}`),
    )
    await type(b, "x", "mine")
    await type(a, "y", "theirs")
    await pull(b, a, "y")
    await a.docs.delete("y")
    await pull(b, a, "y")
    await b.docs.delete("x")
    unsubscribe()
    await type(b, "z", "unheard")
    expect(events).toEqual(["changed x local", "changed y remote", "deleted y remote", "deleted x local"])
  })

  test("reads in the history when something was written", async () => {
    const { a } = await pair()
    await type(a, "x", "now")
    await using handle = await a.docs.open("x")
    const [newest] = handle.history.list()
    expect(Math.abs((newest?.at ?? 0) - Date.now())).toBeLessThan(120_000)
    expect(newest?.operations).toBeGreaterThanOrEqual(3)
  })
})

describe("Loro peer ids", () => {
  test("are new whenever a document is read from the store, so that a copied profile repeats none", async () => {
    const store = memoryStore()
    const first = await attachByHand({ name: "notes", store }, A)
    await type(first, "x", "before ")
    await first.attached.detach()
    const copies = [
      await attachByHand({ name: "notes", store: store.copy() }, A),
      await attachByHand({ name: "notes", store: store.copy() }, A),
    ] as const
    for (const [index, copy] of copies.entries()) await type(copy, "x", `copy ${index} `)
    const [one, other] = copies
    await pull(one, other, "x")
    await pull(other, one, "x")
    expect(await read(one, "x")).toBe(await read(other, "x"))
    expect(await read(one, "x")).toHaveLength("before copy 0 copy 1 ".length)
    await using handle = await one.docs.open("x")
    expect(handle.doc.oplogVersion().toJSON().size).toBe(3)
  })

  test("that the application sets are used for one commit, and reported", async () => {
    const { a } = await pair()
    await using handle = await a.docs.open("x")
    handle.doc.setPeerId("5")
    handle.doc.getText("body").insert(0, "x")
    await handle.saved()
    expect(handle.doc.peerIdStr).not.toBe("5")
    expect(a.reports).toMatchObject([{ type: "warning", reason: expect.stringContaining("setPeerId") }])
  })

  test("that come from elsewhere are replaced, and reported", async () => {
    const { a } = await pair()
    await type(a, "x", "mine")
    await using handle = await a.docs.open("x")
    const own = handle.doc.peerIdStr
    const thief = LoroDoc.fromSnapshot(await a.docs.export("x"))
    thief.setPeerId(own)
    thief.getText("body").insert(0, "stolen ")
    thief.commit()
    await a.docs.import("x", thief.export({ mode: "update" }))
    expect(handle.doc.peerIdStr).not.toBe(own)
    expect(a.reports).toMatchObject([{ type: "warning" }])
  })
})

describe("a replica", () => {
  test("is in one room at a time", async () => {
    const replica = loroReplica({ name: "notes", store: memoryStore() })
    const { attached } = await attachByHand({ name: "x", store: memoryStore() })
    await attached.detach()
    const host = {
      roomTag: new Uint8Array(32),
      device: A,
      changed: () => undefined,
      report: () => undefined,
      released: () => undefined,
      synced: () => Promise.resolve(),
      links: { get: () => new Map(), subscribe: () => () => undefined },
    }
    const first = await replica.attach(host)
    await expect(replica.attach(host)).rejects.toMatchObject({ code: "replica-in-use" })
    await first.detach()
    await (await replica.attach(host)).detach()
  })
  test("gives out no document that was still being read when it closed", async () => {
    const disk = memoryStore()
    const before = await attachByHand({ name: "notes", store: disk })
    await type(before, "x", "hello")
    await before.attached.detach()
    let goOn = (): void => undefined
    const held = new Promise<void>((resolve) => (goOn = resolve))
    const store: DocumentStore = {
      name: "slow",
      async open() {
        const opened = await disk.open()
        return {
          ...opened,
          async load(id) {
            const stored = await opened.load(id)
            await held
            return stored
          },
        }
      },
    }
    const a = await attachByHand({ name: "notes", store })
    const opening = a.docs.open("x")
    const outcome = expect(opening).rejects.toMatchObject({ code: "closed" })
    const detached = a.attached.detach()
    await new Promise((resolve) => setTimeout(resolve, 0))
    goOn()
    await outcome
    await detached
  })
})
