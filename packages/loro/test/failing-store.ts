import type { DocumentStore } from "../src/store/document-store.ts"
import { memoryStore, type MemoryStore } from "../src/store/memory-store.ts"

export interface FailingStore extends DocumentStore {
  /** While true, every transaction fails. */
  failing: boolean
  /** What is on the disk. */
  readonly disk: MemoryStore
}

/** A store whose disk is full for as long as the test says so. */
export function failingStore(disk: MemoryStore = memoryStore()): FailingStore {
  const store: FailingStore = {
    name: "failing",
    failing: false,
    disk,
    async open() {
      const opened = await disk.open()
      return {
        ...opened,
        async commit(batch) {
          if (store.failing) throw new Error("no space left")
          return opened.commit(batch)
        },
      }
    },
  }
  return store
}
