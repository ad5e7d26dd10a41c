import { storageName } from "./namespace.ts"

/** Small settings. Where the browser refuses storage they last as long as the page. */
export interface SmallStore {
  read(key: string): string | null
  write(key: string, value: string): void
  /** Told when another tab wrote. Returns the function that ends it. */
  watch(key: string, changed: () => void): () => void
}

/** What could not be stored: newer than what is. */
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
      // Private windows and full disks refuse; the copy in memory serves this page.
      memory.set(key, value)
    }
  },
  watch(key, changed) {
    const heard = (event: StorageEvent): void => void (event.key === storageName(key) && changed())
    addEventListener("storage", heard)
    return () => removeEventListener("storage", heard)
  },
}
