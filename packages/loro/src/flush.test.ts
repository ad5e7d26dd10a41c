import { describe, expect, test } from "vitest"

import { failingStore } from "../test/failing-store.ts"
import { attachByHand } from "../test/hand-driven.ts"
import { memoryStore } from "./store/memory-store.ts"

describe("a flush", () => {
  test("reports and stores what nobody has committed yet, in the middle of a burst", async () => {
    const store = memoryStore()
    const a = await attachByHand({ name: "notes", store })
    const [x, y] = [await a.docs.open("x"), await a.docs.open("y")]
    x.doc.getText("body").insert(0, "first ")
    x.commit()
    await x.saved()
    a.changes.splice(0)
    // Within 16 ms of the last commit, and in containers read earlier: no timer and no task has seen the edit.
    const held = [x.doc.getText("body"), y.doc.getText("body")]
    await Promise.resolve()
    for (const text of held) text.push("typed")
    await a.attached.flush?.()
    expect(a.changes.map((change) => change.key).sort()).toEqual(["x", "y"])
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect((await after.docs.open("x")).doc.getText("body").toString()).toBe("first typed")
    expect((await after.docs.open("y")).doc.getText("body").toString()).toBe("typed")
    await a.attached.flush?.()
  })

  test("fails for as long as something cannot be stored", async () => {
    const store = failingStore()
    const a = await attachByHand({ name: "notes", store })
    const x = await a.docs.open("x")
    store.failing = true
    x.doc.getText("body").insert(0, "typed")
    await expect(a.attached.flush?.()).rejects.toMatchObject({ code: "storage-failed" })
    await expect(a.attached.flush?.()).rejects.toMatchObject({ code: "storage-failed" })
    await expect(a.docs.delete("x")).rejects.toMatchObject({ code: "storage-failed" })
    await expect(a.attached.flush?.()).rejects.toThrow()
    store.failing = false
    await a.attached.flush?.()
    const after = await attachByHand({ name: "notes", store: store.disk.copy() })
    await expect(after.docs.open("x")).rejects.toMatchObject({ code: "document-deleted" })
  })

  test("covers what was brought into an open document by Loro's own import", async () => {
    const store = memoryStore()
    const [a, b] = [
      await attachByHand({ name: "notes", store }),
      await attachByHand({ name: "notes", store: memoryStore() }),
    ]
    const [x, other] = [await a.docs.open("x"), await b.docs.open("x")]
    other.doc.getText("body").insert(0, "by another road ")
    await other.saved()
    x.doc.import(other.doc.export({ mode: "update" }))
    await a.attached.flush?.()
    expect(a.changes).toHaveLength(1)
    x.doc.import(b.changes.length > 0 ? other.doc.export({ mode: "snapshot" }) : new Uint8Array(0))
    x.doc.getText("body").push("and typed")
    await a.attached.flush?.()
    expect(a.changes).toHaveLength(2)
    const after = await attachByHand({ name: "notes", store: store.copy() })
    expect((await after.docs.open("x")).doc.getText("body").toString()).toBe("by another road and typed")
  })
})
