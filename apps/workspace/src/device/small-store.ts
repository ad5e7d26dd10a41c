import { storageName } from "./namespace.ts"

/** Small settings. If the browser refuses storage, they last as long as the page. */
export interface SmallStore {
  read(key: string): string | null
  write(key: string, value: string): void
  /** Calls `changed` when another tab has written. Returns a function that stops this. */
  watch(key: string, changed: () => void): () => void
}

/** Values that could not be stored, and are newer than the stored ones. */
const memory = new Map<string, string>()

export const smallStore: SmallStore = {
  read(key) {
    try {
      return memory.get(key) ?? localStorage.getItem(storageName(key))
    } catch {
      return null
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(storageName(key), value)
      memory.delete(key)
    } catch {
      // Private windows and full disks refuse; this page uses the copy in memory.
      memory.set(key, value)
    }
  },
  watch(key, changed) {
    const heard = (event: StorageEvent): void => void (event.key === storageName(key) && changed())
    addEventListener("storage", heard)
    return () => removeEventListener("storage", heard)
  },
}
