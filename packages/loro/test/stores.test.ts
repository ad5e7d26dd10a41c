import "fake-indexeddb/auto"

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe } from "vitest"

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
// Without Web Locks there is one opener; several tabs are tried in a browser.
describe("IndexedDB", () =>
  storeContract(() => indexedDbStore(`contract-${count++}`), { shared: "no-locks" }))
