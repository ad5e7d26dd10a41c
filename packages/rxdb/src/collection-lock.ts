import { systemRandom } from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { hexFromBytes } from "./byte-text.ts"

/**
 * Of all tabs that share a collection's storage, one replicates it. The others write, and their hooks stamp. The
 * browser passes the lock on when that tab closes or crashes. Outside browsers, every process has its own storage.
 */
export interface CollectionLock {
  /**
   * Resolves with a function that releases the lock, and itself resolves once the lock is free. Rejects with the
   * signal's reason. While a user of this object holds the lock, others get it at once; the last one frees it.
   */
  acquire(options?: LockOptions): Promise<() => Promise<void>>
}

export interface LockOptions {
  readonly signal?: AbortSignal
  /** Called once if another tab holds the lock. */
  readonly waits?: () => void
}

const THIS_TAB = hexFromBytes(systemRandom().bytes(8))

/**
 * Names the database uniquely among all tabs. Rows in memory exist in this tab alone, even under a name that others
 * use: no other tab replicates them. The name of a storage that wraps another ends in the other's.
 */
export function sharedDatabaseName({ database }: RxCollection): string {
  const { name, storage } = database
  return /(^|-)memory$/.test(storage.name) ? `${name}/${THIS_TAB}` : name
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
  const locks = tabLocks(collection)
  const id = `dunlin-rxdb/${sharedDatabaseName(collection)}/${collection.name}`
  if (locks === null) return { acquire: () => Promise.resolve(() => Promise.resolve()) }

  let holders = 0
  let giveBack = (): void => {}
  let released: Promise<void> = Promise.resolve()

  const hold = (): (() => Promise<void>) => {
    let held = true
    holders++
    return () => {
      if (held && --holders === 0) giveBack()
      held = false
      return holders === 0 ? released : Promise.resolve()
    }
  }

  return {
    acquire({ signal, waits } = {}) {
      if (holders > 0) return Promise.resolve(hold())
      return new Promise((acquired, rejected) => {
        const granted = (): Promise<void> =>
          new Promise((release) => {
            giveBack = release
            acquired(hold())
          })
        const request = async (): Promise<void> => {
          // A request with `ifAvailable` takes no signal.
          const wasFree = await locks.request(id, { ifAvailable: true }, async (lock) => {
            if (lock === null || signal?.aborted === true) return false
            await granted()
            return true
          })
          if (wasFree) return
          signal?.throwIfAborted()
          waits?.()
          await locks.request(id, signal === undefined ? {} : { signal }, granted)
        }
        released = request().catch(rejected)
      })
    },
  }
}
