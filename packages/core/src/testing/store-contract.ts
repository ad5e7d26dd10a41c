import type { Store } from "../ports/store.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { type ContractCase, demand } from "./contract-case.ts"

/** What `Store` promises. `open` gives an empty store each time; `reopen` opens another over what the closed one held. */
export function storeContract(adapter: {
  readonly open: () => Promise<Store>
  /** Left out if nothing outlives the store. */
  readonly reopen?: (closed: Store) => Promise<Store>
}): readonly ContractCase[] {
  const { open, reopen } = adapter
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
  const listed = async (store: Store, prefix: string): Promise<string[]> => {
    const keys: string[] = []
    for await (const [key] of store.entries(prefix)) keys.push(key)
    return keys
  }
  const cases: ContractCase[] = [
    {
      name: "reads what was written, and null for what was not",
      async run() {
        const store = await open()
        await store.write([{ key: "a", value: bytes(1, 2) }])
        demandBytes(await store.get("a"), bytes(1, 2), "the value of a")
        demand((await store.get("b")) === null, "an unknown key reads as null")
        await store.close()
      },
    },
    {
      name: "applies changes of one call in their order",
      async run() {
        const store = await open()
        await store.write([
          { key: "a", value: bytes(1) },
          { key: "a", value: null },
          { key: "b", value: bytes(1) },
          { key: "b", value: bytes(2) },
        ])
        demand((await store.get("a")) === null, "a was deleted after it was written")
        demandBytes(await store.get("b"), bytes(2), "the later value of b")
        await store.close()
      },
    },
    {
      name: "lists a prefix in the order of code units",
      async run() {
        const store = await open()
        const keys = ["b/2", "a/10", "a/2", "a/ä", "a", "b/1"]
        await store.write(keys.map((key) => ({ key, value: bytes(key.length) })))
        demand((await listed(store, "a/")).join() === "a/10,a/2,a/ä", "a/10, a/2, a/ä under a/")
        demand((await listed(store, "")).length === keys.length, "every key under the empty prefix")
        demand((await listed(store, "c")).length === 0, "nothing under c")
        await store.close()
      },
    },
    {
      name: "keeps its own copy of what it is given, and gives copies",
      async run() {
        const store = await open()
        const given = bytes(1)
        await store.write([{ key: "a", value: given }])
        given[0] = 9
        const read = await store.get("a")
        demandBytes(read, bytes(1), "the value as it was given")
        if (read !== null) read[0] = 8
        demandBytes(await store.get("a"), bytes(1), "the value after a reader changed its copy")
        await store.close()
      },
    },
    {
      name: "closes once, and then refuses with store-closed",
      async run() {
        const store = await open()
        await store.close()
        await store.close()
        demand((await codeOf(() => store.get("a"))) === "store-closed", "get rejects with store-closed")
        demand((await codeOf(() => store.write([]))) === "store-closed", "write rejects with store-closed")
      },
    },
  ]
  if (reopen === undefined) return cases
  return [
    ...cases,
    {
      name: "holds after reopening what it acknowledged",
      async run() {
        const store = await open()
        await store.write([
          { key: "a", value: bytes(7) },
          { key: "b", value: new Uint8Array(0) },
        ])
        await store.close()
        const again = await reopen(store)
        demandBytes(await again.get("a"), bytes(7), "the value of a")
        demandBytes(await again.get("b"), new Uint8Array(0), "the empty value of b")
        await again.close()
      },
    },
  ]
}

function demandBytes(actual: Uint8Array | null, expected: Uint8Array, what: string): void {
  demand(
    actual !== null && sameBytes(actual, expected),
    `${what}: wanted [${expected.join()}], got [${actual?.join()}]`,
  )
}

/** The code of what `work` rejects with, or null when it resolves. */
async function codeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work()
    return null
  } catch (error) {
    return (error as { readonly code?: unknown }).code
  }
}
