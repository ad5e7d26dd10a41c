import "fake-indexeddb/auto"

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { replicaContract } from "@dunlin/core/testing"
import { afterAll, describe, test } from "vitest"

import { lmdbStore } from "../src/lmdb/index.ts"
import type { LoroDocuments } from "../src/loro-documents.ts"
import { loroReplica } from "../src/loro-replica.ts"
import type { DocumentStore } from "../src/store/document-store.ts"
import { encryptedStore } from "../src/store/encrypted-store.ts"
import { indexedDbStore } from "../src/store/indexed-db-store.ts"
import { memoryStore } from "../src/store/memory-store.ts"

const directory = await mkdtemp(join(tmpdir(), "dunlin-contract-"))
afterAll(() => rm(directory, { recursive: true, force: true }))
const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
let count = 0

const stores: Record<string, () => DocumentStore> = {
  memory: () => memoryStore(),
  LMDB: () => lmdbStore({ path: join(directory, `${count++}`), durability: "relaxed" }),
  IndexedDB: () => indexedDbStore(`contract-${count++}`),
  "an encrypted store": () => encryptedStore(memoryStore(), key),
}

async function write(docs: LoroDocuments, id: string, value: number): Promise<void> {
  const document = await docs.open(id)
  document.doc.getMap("values").set("value", value)
  document.doc.getText("body").insert(0, `${value} `)
  document.commit()
  await document.close()
}

describe.each(Object.entries(stores))("a replica of Loro documents in %s", (_name, createStore) => {
  const subject = { create: () => loroReplica({ name: "notes", store: createStore() }), write }
  for (const { name, run } of replicaContract(subject)) test(name, run)
})
