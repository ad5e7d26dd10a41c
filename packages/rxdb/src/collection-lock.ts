import type { RxCollection } from "rxdb"

/**
 * Of all tabs that share a collection's storage one replicates it; the others write, and their hooks stamp. The
 * browser passes the lock on when that tab closes or crashes. Elsewhere every process has its own storage.
 */
export interface CollectionLock {
  /** Whether another tab holds it now. */
  heldElsewhere(): Promise<boolean>
  /**
   * Resolves with what gives it back. Rejects with the signal's reason. Whoever shares this object with a holder has it
   * at once, and the last of them gives it back.
   */
  acquire(signal?: AbortSignal): Promise<() => void>
}

/** Whether other tabs may write the rows of this collection. */
export function sharesStorage(collection: RxCollection): boolean {
  return tabLocks(collection) !== null
}

function tabLocks({ database }: RxCollection): LockManager | null {
  if (!database.multiInstance) return null
  return (globalThis.navigator as Partial<Navigator> | undefined)?.locks ?? null
}

/** The lock of a collection, for one user of it. */
export function collectionLock(collection: RxCollection): CollectionLock {
  const { database, name } = collection
  const locks = tabLocks(collection)
  const id = `dunlin-rxdb/${database.name}/${name}`
  if (locks === null)
    return { heldElsewhere: () => Promise.resolve(false), acquire: () => Promise.resolve(() => {}) }

  let holders = 0
  let giveBack = (): void => {}

  const hold = (): (() => void) => {
    let held = true
    holders++
    return () => {
      if (held && --holders === 0) giveBack()
      held = false
    }
  }

  return {
    async heldElsewhere() {
      const { held = [] } = await locks.query()
      return holders === 0 && held.some((lock) => lock.name === id)
    },
    acquire(signal) {
      if (holders > 0) return Promise.resolve(hold())
      return new Promise((acquired, rejected) => {
        const granted = (): Promise<void> =>
          new Promise((release) => {
            giveBack = release
            acquired(hold())
          })
        locks.request(id, signal === undefined ? {} : { signal }, granted).catch(rejected)
      })
    },
  }
}
