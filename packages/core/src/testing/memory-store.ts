import { type Store, StoreError } from "../ports/store.ts"

/** A store that lasts as long as the process. */
export function createMemoryStore(): Store {
  const values = new Map<string, Uint8Array>()
  let closed = false
  const assertOpen = (): void => {
    if (closed) throw new StoreError("store-closed", "This store was closed; open a new one.")
  }
  return {
    async get(key) {
      assertOpen()
      return values.get(key)?.slice() ?? null
    },
    async *entries(prefix) {
      assertOpen()
      for (const key of [...values.keys()].filter((name) => name.startsWith(prefix)).toSorted()) {
        const value = values.get(key)
        if (value !== undefined) yield [key, value.slice()]
      }
    },
    async write(changes) {
      assertOpen()
      for (const { key, value } of changes) {
        if (value === null) values.delete(key)
        else values.set(key, value.slice())
      }
    },
    async close() {
      closed = true
    },
  }
}
