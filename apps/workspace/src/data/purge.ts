import { smallStore } from "../device/small-store.ts"
import type { WorkspaceDatabase } from "./database.ts"

const PURGE_AFTER_MS = 10_000

/**
 * Clears what was deleted for ever from the disk: RxDB marks a row as deleted and keeps all its fields. Tasks are left
 * out, since a deleted task can be brought back. Returns a function that ends this; the next page does what is left.
 */
export function startPurge({ documents, bodies, merges }: WorkspaceDatabase, name: string): () => void {
  const mark = `unpurged-${name}`
  let timer: ReturnType<typeof setTimeout> | null = null

  function soon(): void {
    if (timer !== null) return
    smallStore.write(mark, "1")
    timer = setTimeout(() => void purge(), PURGE_AFTER_MS)
  }

  async function purge(): Promise<void> {
    timer = null
    try {
      for (const { storageInstance } of [documents, bodies, merges]) await storageInstance.cleanup(0)
      if (timer === null) smallStore.write(mark, "")
    } catch {
      // Closed meanwhile, or the disk is full.
    }
  }

  const subscriptions = [
    documents.remove$.subscribe(soon),
    bodies.remove$.subscribe(soon),
    merges.remove$.subscribe(soon),
  ]
  if (smallStore.read(mark) === "1") soon()
  return () => {
    for (const subscription of subscriptions) subscription.unsubscribe()
    if (timer !== null) clearTimeout(timer)
  }
}
