import type { RxCollection } from "rxdb"

/**
 * Of all tabs that share a collection's storage one replicates it; the others write, and their hooks stamp. The
 * browser passes the lock on when that tab closes or crashes. Elsewhere every process has its own storage.
 */
export interface CollectionLock {
  /** Whether another tab holds it now. */
  heldElsewhere(): Promise<boolean>
  /** Resolves with what gives it back. Rejects with the signal's reason. */
  acquire(signal?: AbortSignal): Promise<() => void>
}

export function collectionLock(collection: RxCollection): CollectionLock {
  const { database, name } = collection
  const locks = (globalThis.navigator as Partial<Navigator> | undefined)?.locks
  const id = `dunlin-rxdb/${database.name}/${name}`
  if (locks === undefined || !database.multiInstance)
    return { heldElsewhere: () => Promise.resolve(false), acquire: () => Promise.resolve(() => {}) }

  return {
    async heldElsewhere() {
      const { held = [] } = await locks.query()
      return held.some((lock) => lock.name === id)
    },
    acquire: (signal) =>
      new Promise((acquired, rejected) => {
        const hold = (): Promise<void> => new Promise((release) => acquired(() => release()))
        locks.request(id, signal === undefined ? {} : { signal }, hold).catch(rejected)
      }),
  }
}
