import { storageName } from "./namespace.ts"

/** Small settings. Where the browser refuses storage they last as long as the page. */
export interface SmallStore {
  read(key: string): string | null
  write(key: string, value: string): void
}

const memory = new Map<string, string>()

export const smallStore: SmallStore = {
  read(key) {
    try {
      return localStorage.getItem(storageName(key)) ?? memory.get(key) ?? null
    } catch {
      return memory.get(key) ?? null
    }
  },
  write(key, value) {
    memory.set(key, value)
    try {
      localStorage.setItem(storageName(key), value)
    } catch {
      // Private windows and full disks refuse; the copy in memory serves this page.
    }
  },
}
