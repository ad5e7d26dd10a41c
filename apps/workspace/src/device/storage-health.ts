import { createState, type State } from "@dunlin/core"

export type Persistence = "unknown" | "granted" | "denied" | "unsupported"

export interface StorageHealth {
  /** Whether the browser promised not to evict what is stored. */
  readonly persistence: Persistence
  readonly usedBytes: number | null
  readonly quotaBytes: number | null
  /** What is wrong with storing, until it works again. */
  readonly trouble: null | "refused" | "full"
}

const state = createState<StorageHealth>({
  persistence: "unknown",
  usedBytes: null,
  quotaBytes: null,
  trouble: null,
})

export const storageHealth: State<StorageHealth> = state

export function reportStorageTrouble(trouble: "refused" | "full"): void {
  if (state.get().trouble !== trouble) state.set({ ...state.get(), trouble })
}

/** There is room again. Storage that was refused stays refused: writes then go to memory. */
export function reportStored(): void {
  if (state.get().trouble === "full") state.set({ ...state.get(), trouble: null })
}

/** Asks the browser to keep the data for good. Browsers decide by their own rules; the answer is shown, not assumed. */
export async function askPersistence(): Promise<void> {
  const persistence = await persist()
  state.set({ ...state.get(), persistence })
  await measureStorage()
}

export async function measureStorage(): Promise<void> {
  const estimate = await navigator.storage?.estimate?.().catch(() => null)
  if (!estimate) return
  state.set({ ...state.get(), usedBytes: estimate.usage ?? null, quotaBytes: estimate.quota ?? null })
}

/** A probe, because private windows offer an `indexedDB` that fails or hangs only when it is opened. */
export async function storageWorks(): Promise<boolean> {
  if (typeof indexedDB === "undefined") return false
  const name = "dunlin-probe"
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 4_000)
    const settle = (works: boolean): void => {
      clearTimeout(timer)
      resolve(works)
    }
    try {
      const request = indexedDB.open(name, 1)
      request.addEventListener("error", () => settle(false))
      request.addEventListener("success", () => {
        request.result.close()
        indexedDB.deleteDatabase(name)
        settle(true)
      })
    } catch {
      settle(false)
    }
  })
}

export function isStorageFull(error: unknown): boolean {
  for (let cause: unknown = error, depth = 0; cause && depth < 6; depth++) {
    const { name, message, inner, cause: next } = cause as Record<string, unknown>
    if (`${String(name)} ${String(message)}`.includes("QuotaExceeded")) return true
    cause = inner ?? next
  }
  return false
}

async function persist(): Promise<Persistence> {
  if (!navigator.storage?.persist) return "unsupported"
  try {
    if (await navigator.storage.persisted()) return "granted"
    return (await navigator.storage.persist()) ? "granted" : "denied"
  } catch {
    return "unsupported"
  }
}
