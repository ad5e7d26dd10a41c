import type { Clock } from "@dunlin/core"
import { expect, test } from "vitest"
import { createShelfLedger, MAX_SHELF_BLOBS, MAX_SHELF_BYTES } from "./shelf-ledger.ts"

const clock: Clock = { now: () => 1_000_000, monotonic: () => 0, after: () => () => {} }

function createLedger() {
  const records = new Map<string, string>()
  const sidecar = {
    async get(ids: readonly string[]) {
      return new Map([...records].filter(([id]) => ids.includes(id)))
    },
    async put(changed: ReadonlyMap<string, string | null>) {
      for (const [id, data] of changed)
        if (data === null) records.delete(id)
        else records.set(id, data)
    },
  }
  const held = new Map<string, number>()
  const dropped: string[] = []
  const contents = {
    held: async ({ key }: { readonly key: string }) => held.get(key) ?? 0,
    isInRow: async () => false,
    drop: async (key: string) => void dropped.push(key),
  }
  return { held, dropped, open: () => createShelfLedger(sidecar, clock, contents) }
}

const blobOf = (key: string, size = 1) => ({ key, digest: "d", size })

test("a length that is only claimed drives nothing out", async () => {
  const { dropped, open } = createLedger()
  const ledger = open()
  await ledger.begin(blobOf("honest"))
  await ledger.grew(blobOf("honest"), 40_000_000)
  for (let n = 0; n < 100; n++) {
    await ledger.begin(blobOf(`claimed ${n}`, 256 * 1024 * 1024))
    await ledger.grew(blobOf(`claimed ${n}`, 256 * 1024 * 1024), 65_536)
  }
  expect(dropped).toEqual([])
})

test("what began first goes once more has come than the shelf takes, and also where that grows later", async () => {
  const { dropped, open } = createLedger()
  const ledger = open()
  for (const key of ["a", "b", "c"]) await ledger.begin(blobOf(key))
  await ledger.grew(blobOf("c"), MAX_SHELF_BYTES / 2)
  await ledger.grew(blobOf("a"), MAX_SHELF_BYTES / 2)
  expect(dropped).toEqual([])
  await ledger.grew(blobOf("b"), 1)
  expect(dropped).toEqual(["a"])
})

test("what is here counts after a restart as well", async () => {
  const { held, dropped, open } = createLedger()
  await open().begin(blobOf("a"))
  held.set("a", MAX_SHELF_BYTES)
  const ledger = open()
  await ledger.begin(blobOf("b"))
  await ledger.grew(blobOf("b"), 1)
  expect(dropped).toEqual(["a"])
})

test("it lists a bounded number of blobs", async () => {
  const { dropped, open } = createLedger()
  const ledger = open()
  for (let n = 0; n < MAX_SHELF_BLOBS + 3; n++) await ledger.begin(blobOf(`${n}`))
  expect(dropped).toEqual(["0", "1", "2"])
})
