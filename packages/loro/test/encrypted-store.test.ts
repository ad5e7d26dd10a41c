import { describe, expect, test } from "vitest"

import { encryptedStore } from "../src/store/encrypted-store.ts"
import { memoryStore } from "../src/store/memory-store.ts"
import type { OpenDocumentStore } from "../src/store/document-store.ts"
import { attachByHand, pull } from "./hand-driven.ts"
import { storeContract } from "./store-contract.ts"

const makeKey = (): Promise<CryptoKey> =>
  crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])

describe("an encrypted store", () => {
  storeContract(async () => encryptedStore(memoryStore(), await makeKey()), { shared: true })

  test("shows neither ids nor content to the store below", async () => {
    const store = memoryStore()
    const written = await attachByHand({ name: "notes", store: encryptedStore(store, await makeKey()) })
    const handle = await written.docs.open("secret-plan")
    handle.doc.getText("body").insert(0, "the secret text")
    await handle.saved()
    await written.attached.saveIndex(new TextEncoder().encode("secret index"))
    await written.attached.detach()
    const raw = await store.open()
    const rows = await raw.changes(0, 10)
    const stored = await raw.load(rows[0]?.id ?? "")
    const all = JSON.stringify([
      rows.map((row) => [row.id, Buffer.from(row.bytes).toString("latin1")]),
      stored.log.map((entry) => Buffer.from(entry.bytes).toString("latin1")),
      Buffer.from((await raw.blob("index")) ?? []).toString("latin1"),
    ])
    expect(stored.log).toHaveLength(1)
    expect(all).not.toContain("secret")
  })

  test("fails closed with another key, and without one", async () => {
    const store = memoryStore()
    const key = await makeKey()
    const first = await attachByHand({ name: "notes", store: encryptedStore(store, key) })
    const handle = await first.docs.open("x")
    handle.doc.getText("body").insert(0, "kept")
    await first.attached.detach()
    const other = encryptedStore(store, await makeKey())
    await expect(attachByHand({ name: "notes", store: other })).rejects.toMatchObject({ code: "wrong-key" })
    await expect(attachByHand({ name: "notes", store })).rejects.toMatchObject({ code: "wrong-key" })
    const again = await attachByHand({ name: "notes", store: encryptedStore(store, key) })
    const reopened = await again.docs.open("x")
    expect(reopened.doc.getText("body").toString()).toBe("kept")
  })

  test("waits for the key that another tab makes no longer than it is wanted", async () => {
    const store = memoryStore()
    const holder = await store.open()
    const closing = new AbortController()
    const opening = encryptedStore(store, await makeKey()).open({ signal: closing.signal })
    const outcome = expect(opening).rejects.toThrow("not wanted any more")
    closing.abort(new Error("not wanted any more"))
    await outcome
    await holder.close()
  })

  test("that was damaged in one place still gives peers the other documents", async () => {
    const store = memoryStore()
    const key = await makeKey()
    const peer = await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32))
    const first = await attachByHand({ name: "notes", store: encryptedStore(store, key) })
    for (const id of ["damaged", "whole"]) {
      await using handle = await peer.docs.open(id)
      handle.doc.getText("body").insert(0, "word ".repeat(300))
      await handle.saved()
      await pull(first, peer, id)
    }
    await first.attached.detach()
    const raw = await store.open()
    const [row] = await raw.changes(0, 1)
    const id = row?.id ?? ""
    expect((await raw.load(id)).snapshot).not.toBeNull()
    await raw.commit({ snapshots: [{ id, bytes: new Uint8Array(100) }] })
    await raw.close()
    const after = await attachByHand({ name: "notes", store: encryptedStore(store, key) })
    const requests = ["damaged", "whole"].map((asked) => ({ key: asked, summary: new Uint8Array(0) }))
    const outcomes = await after.attached.read(requests, {
      session: "ee".repeat(16),
      device: "ee".repeat(32),
    })
    expect(outcomes).toMatchObject([{ type: "none" }, { type: "delta" }])
    expect(after.reports).toMatchObject([{ type: "quarantined", key: "damaged" }])
  })

  test("refuses documents that were stored in the clear", async () => {
    const store = memoryStore()
    const plain = await attachByHand({ name: "notes", store })
    const handle = await plain.docs.open("x")
    handle.doc.getText("body").insert(0, "clear")
    await plain.attached.detach()
    const encrypted = encryptedStore(store, await makeKey())
    await expect(attachByHand({ name: "notes", store: encrypted })).rejects.toMatchObject({
      code: "wrong-key",
    })
  })

  test("notices pieces that were changed or moved", async () => {
    const store = memoryStore()
    const key = await makeKey()
    const encrypted = encryptedStore(store, key)
    const open = await encrypted.open()
    await open.commit({
      logs: [
        { id: "a", sequence: 0, bytes: Uint8Array.of(1) },
        { id: "a", sequence: 1, bytes: Uint8Array.of(2) },
      ],
    })
    await open.commit({ rows: [{ id: "a", sequence: 1, bytes: Uint8Array.of(3) }] })
    await open.close()
    const raw: OpenDocumentStore = await store.open()
    const [row] = await raw.changes(0, 1)
    const { log } = await raw.load(row?.id ?? "")
    await raw.commit({
      logs: [{ id: row?.id ?? "", sequence: 1, bytes: log[0]?.bytes ?? new Uint8Array(0) }],
    })
    await raw.close()
    const again = await encrypted.open()
    const { log: opened, unreadable } = await again.load("a")
    expect(opened.map(({ bytes }) => bytes.length)).toEqual([1, 0])
    expect(unreadable).toEqual([log[0]?.bytes])
    expect(await again.rows(["a"])).toEqual([Uint8Array.of(3)])
  })
})
