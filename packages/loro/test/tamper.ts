import type { OpenDocumentStore } from "../src/store/document-store.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"
import { attachByHand, type HandDriven } from "./hand-driven.ts"

/** Changes what a closed store holds, as a damaged disk does. */
export async function tamper(
  store: MemoryStore,
  work: (raw: OpenDocumentStore) => Promise<unknown>,
): Promise<void> {
  const raw = await store.open()
  await work(raw)
  await raw.close()
}

/** Makes this entry of the log unreadable, and resolves to what is stored in its place. */
export async function damageLog(store: MemoryStore, id: string, at: number): Promise<Uint8Array> {
  let damaged = new Uint8Array(0)
  await tamper(store, async (raw) => {
    const entry = (await raw.load(id)).log[at]
    if (entry === undefined) throw new Error(`no log entry ${at}`)
    damaged = entry.bytes.map((byte) => byte ^ 1)
    await raw.commit({ logs: [{ id, sequence: entry.sequence, bytes: damaged }] })
  })
  return damaged
}

/** Each text is stored as an update of its own. */
export async function writeTo(to: HandDriven, id: string, ...texts: readonly string[]): Promise<void> {
  await using handle = await to.docs.open(id)
  for (const text of texts) {
    handle.doc.getText("body").push(text)
    await handle.saved()
  }
}

export async function readFrom({ docs }: Pick<HandDriven, "docs">, id: string): Promise<string> {
  await using handle = await docs.open(id)
  return handle.doc.getText("body").toString()
}

/** A closed store that holds "bad", of these updates. */
export async function storeOf(...texts: readonly string[]): Promise<MemoryStore> {
  const store = memoryStore()
  const first = await attachByHand({ name: "notes", store })
  await writeTo(first, "bad", ...texts)
  await first.attached.detach()
  return store
}
