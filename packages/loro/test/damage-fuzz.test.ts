import fc from "fast-check"
import { expect, test } from "vitest"

import type { OpenDocumentStore, StoreBatch } from "../src/store/document-store.ts"
import { encryptedStore } from "../src/store/encrypted-store.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"
import { attachByHand, type HandDriven, pull } from "./hand-driven.ts"

const IDS = ["a", "b", "c"]

const damage = fc.record({
  part: fc.constantFrom("row", "snapshot", "log"),
  which: fc.nat(9),
  how: fc.constantFrom("flip", "cut", "longer", "zeros"),
  where: fc.oneof(fc.nat(3), fc.nat(1_000)),
  bit: fc.nat(7),
})
type Damage = typeof damage extends fc.Arbitrary<infer One> ? One : never

function spoil(bytes: Uint8Array, { how, where, bit }: Damage): Uint8Array {
  const at = where % bytes.length
  if (how === "cut") return bytes.slice(0, at)
  if (how === "longer") return Uint8Array.from([...bytes, bit])
  if (how === "zeros") return new Uint8Array(bytes.length)
  return bytes.map((byte, index) => (index === at ? byte ^ (1 << bit) : byte))
}

async function spoilOne(raw: OpenDocumentStore, id: string, one: Damage): Promise<StoreBatch> {
  const { row, snapshot, log } = await raw.load(id)
  const entry = log[one.which % Math.max(1, log.length)]
  if (one.part === "snapshot" && snapshot !== null)
    return { snapshots: [{ id, bytes: spoil(snapshot, one) }] }
  if (one.part === "log" && entry !== undefined) {
    return { logs: [{ id, sequence: entry.sequence, bytes: spoil(entry.bytes, one) }] }
  }
  const stored = (await raw.changes(0, 10)).find((changed) => changed.id === id)
  if (row === null || stored === undefined) throw new Error("no row")
  return { rows: [{ ...stored, bytes: spoil(row, one) }] }
}

async function textOrCode(from: HandDriven, id: string): Promise<string> {
  try {
    await using handle = await from.docs.open(id)
    return handle.doc.getText("body").toString()
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error)
  }
}

/** A store of three documents, the first of which came as a snapshot, and a peer that holds the same. */
async function setUp(isEncrypted: boolean): Promise<{
  readonly store: MemoryStore
  readonly peer: HandDriven
  readonly attach: () => Promise<HandDriven>
}> {
  const store = memoryStore()
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
  const attach = (): Promise<HandDriven> =>
    attachByHand({ name: "notes", store: isEncrypted ? encryptedStore(store, key) : store })
  const peer = await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32))
  const first = await attach()
  {
    await using handle = await peer.docs.open("a")
    handle.doc.getText("body").insert(0, "a long text ".repeat(100))
    await handle.saved()
  }
  await pull(first, peer, "a")
  for (const id of IDS) {
    await using handle = await first.docs.open(id)
    for (const word of ["one ", "two ", "three"]) {
      handle.doc.getText("body").insert(0, word)
      await handle.saved()
    }
  }
  for (const id of IDS) await pull(peer, first, id)
  await first.attached.detach()
  return { store, peer, attach }
}

test.each(["plain", "encrypted"])(
  "whatever is damaged in a %s store, others are read, and this one is whole, closed, or whole again by a peer",
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        const { store, peer, attach } = await setUp(kind === "encrypted")
        const texts = new Map<string, string>()
        for (const id of IDS) texts.set(id, await textOrCode(peer, id))
        const raw = await store.open()
        const ids = (await raw.changes(0, 10)).map((row) => row.id)
        for (const one of damages) await raw.commit(await spoilOne(raw, ids[0] ?? "", one))
        await raw.close()
        const a = await attach()
        for await (const page of a.attached.scan(null)) expect(page.entries.length).toBeGreaterThan(0)
        await a.docs.list()
        const codes = await Promise.all(IDS.map((id) => textOrCode(a, id)))
        const wrong = IDS.filter((id, at) => codes[at] !== texts.get(id))
        expect(wrong.length).toBeLessThanOrEqual(1)
        for (const id of wrong) expect(codes[IDS.indexOf(id)]).toBe("document-corrupt")
        const isNewer = JSON.stringify(a.reports).includes("newer version")
        for (const id of isNewer ? [] : IDS) await pull(a, peer, id)
        for (const id of isNewer ? [] : IDS) expect(await textOrCode(a, id)).toBe(texts.get(id))
        await a.attached.detach()
        const again = await attach()
        for (const id of isNewer ? [] : IDS) expect(await textOrCode(again, id)).toBe(texts.get(id))
        if (!isNewer) expect(again.reports).toEqual([])
        // Nothing of the damage reaches the peer.
        for (const id of IDS) expect(await textOrCode(peer, id)).toBe(texts.get(id))
        for (const one of [again, peer]) await one.attached.detach()
      }),
      { numRuns: 60 },
    )
  },
  120_000,
)
