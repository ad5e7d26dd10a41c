import { createState } from "@dunlin/core"

import { lacksWebLocks, lockByDatabase } from "./database-lock.ts"
import type { StoreLease } from "./document-store.ts"

/**
 * The lease among the tabs of one origin: a Web Lock says who holds it, a broadcast channel carries the messages.
 * The browser gives the lock of a closed or killed tab to the next in line. Without Web Locks there is one opener, which
 * holds the lease: in a browser the next one is refused.
 */
export async function openTabLease(
  name: string,
  signal?: AbortSignal,
): Promise<StoreLease & { close(): void }> {
  const locks = typeof navigator === "undefined" ? undefined : navigator.locks
  const held = createState(false)
  const listeners = new Set<(message: Uint8Array) => void>()
  const closing = new AbortController()
  let release: () => void = () => undefined

  const hold = (): Promise<void> =>
    new Promise((resolve) => {
      release = resolve
      if (closing.signal.aborted) resolve()
      else held.set(true)
    })

  if (locks === undefined) {
    if (lacksWebLocks()) release = await lockByDatabase(lockDatabaseName(name))
    held.set(true)
  } else {
    signal?.throwIfAborted()
    await requestFirst(locks, name, hold)
    if (!held.get()) {
      locks.request(name, { signal: closing.signal }, hold).catch(() => {
        // Aborted by `close`: the lease is not wanted any more.
      })
    }
  }

  const channel = locks === undefined ? null : new BroadcastChannel(name)
  if (channel !== null) {
    channel.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (!(event.data instanceof Uint8Array)) return
      for (const listener of [...listeners]) listener(event.data)
    })
  }

  return {
    held,
    post(message) {
      // A closed channel throws, and an opener that lost the store may still post something.
      if (closing.signal.aborted) return
      // A broadcast channel stays within the origin by itself; it takes no target.
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      channel?.postMessage(message)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close() {
      closing.abort()
      channel?.close()
      listeners.clear()
      release()
    },
  }
}

/** Never the name of a store's own database. */
export function lockDatabaseName(leaseName: string): string {
  return `${leaseName}/lock`
}

/** Resolves once it is known whether the lock was free. */
function requestFirst(locks: LockManager, name: string, hold: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        const holding = lock === null ? undefined : hold()
        resolve()
        return holding
      })
      .catch(reject)
  })
}
