import "fake-indexeddb/auto"

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"

import { lmdbStore } from "../src/lmdb/index.ts"
import { indexedDbStore } from "../src/store/indexed-db-store.ts"
import { memoryStore } from "../src/store/memory-store.ts"
import { storeContract } from "./store-contract.ts"

const directory = await mkdtemp(join(tmpdir(), "dunlin-stores-"))
afterAll(() => rm(directory, { recursive: true, force: true }))
let count = 0

describe("memory", () => storeContract(() => memoryStore(), { shared: true }))
describe("LMDB", () =>
  storeContract(() => lmdbStore({ path: join(directory, `${count++}`) }), { shared: false }))

test("an LMDB directory that another machine opened beside the lock has one writer: the newer one", async () => {
  const path = join(directory, "volume")
  const first = await lmdbStore({ path }).open()
  await first.commit({ blobs: [{ name: "mine", bytes: Uint8Array.of(1) }] })
  // The lock is in the temporary directory, which two containers do not share.
  const { TMPDIR } = process.env
  process.env["TMPDIR"] = await mkdtemp(join(directory, "tmp-"))
  try {
    const second = await lmdbStore({ path }).open()
    await second.commit({ logs: [{ id: "x", sequence: 0, bytes: Uint8Array.of(2) }] })
    const write = first.commit({ logs: [{ id: "x", sequence: 0, bytes: Uint8Array.of(3) }] })
    await expect(write).rejects.toMatchObject({ code: "store-in-use" })
    expect((await second.load("x")).log).toMatchObject([{ bytes: Uint8Array.of(2) }])
    await second.close()
  } finally {
    if (TMPDIR === undefined) delete process.env["TMPDIR"]
    else process.env["TMPDIR"] = TMPDIR
  }
  await first.close()
})

// Without Web Locks there is one opener; several tabs are tested in a browser.
describe("IndexedDB", () =>
  storeContract(() => indexedDbStore(`contract-${count++}`), { shared: "no-locks" }))
