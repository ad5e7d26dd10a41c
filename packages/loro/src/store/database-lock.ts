import { LoroReplicaError } from "../loro-replica-error.ts"

/** Whether tabs share stores here without Web Locks, as on pages that are neither https nor localhost. */
export function lacksWebLocks(): boolean {
  const isBrowser = "document" in globalThis || "importScripts" in globalThis
  return isBrowser && (typeof navigator === "undefined" || navigator.locks === undefined)
}

/** How long to wait: the request of a tab that was refused stays in the browser's queue, and requests behind it hear nothing. */
const PATIENCE_MS = 3_000

/**
 * Makes one tab of an origin the only holder of a name, by a database of that name: nobody else gets a higher version
 * of it while a connection to a lower one is open, and the browser closes the connections of closed and killed tabs.
 * Resolves to a function that releases the name; rejects with `store-in-use` if another tab holds it.
 */
export function lockByDatabase(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const end = (settle: () => void): void => {
      if (!isOver) settle()
      isOver = true
      clearTimeout(patience)
    }
    const inUse = (): void => end(() => reject(storeInUse()))
    const patience = setTimeout(inUse, PATIENCE_MS)

    const request = (version?: number): IDBOpenDBRequest => {
      const opening = indexedDB.open(name, version)
      opening.addEventListener("error", () => end(() => reject(failed(opening.error))))
      return opening
    }
    const take = (version: number): void => {
      let isOurs = false
      const taking = request(version)
      taking.addEventListener("upgradeneeded", () => (isOurs = true))
      taking.addEventListener("blocked", inUse)
      taking.addEventListener("success", () => {
        const connection = taking.result
        // Two tabs asked for the same version: the one that made it has the lock.
        if (!isOurs) inUse()
        if (isOver) return connection.close()
        // Makes way only for a tab that deletes the store.
        connection.addEventListener("versionchange", ({ newVersion }) => {
          if (newVersion === null) connection.close()
        })
        end(() => resolve(() => connection.close()))
      })
    }

    const looking = request()
    looking.addEventListener("success", () => {
      const { result: connection } = looking
      const { version } = connection
      connection.close()
      if (!isOver) take(version + 1)
    })
  })
}

function storeInUse(): LoroReplicaError {
  return new LoroReplicaError(
    "store-in-use",
    "another tab has this store open, and without https (or localhost) tabs cannot share one: close the other tab",
  )
}

function failed(cause: unknown): LoroReplicaError {
  return new LoroReplicaError("storage-failed", "IndexedDB could not lock this store: reload the page", {
    cause,
  })
}
