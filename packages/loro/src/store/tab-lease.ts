import { createState } from "@dunlin/core"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { StoreLease } from "./document-store.ts"

/**
 * The lease among the tabs of one origin: a Web Lock says who holds it, a broadcast channel carries the messages.
 * The browser gives the lock of a closed or killed tab to the next in line. Outside of browsers, where there are none,
 * there is one opener, who holds it; a browser without them is refused.
 */
export async function openTabLease(
  name: string,
  signal?: AbortSignal,
): Promise<StoreLease & { close(): void }> {
  const locks = findLocks()
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
    // A broadcast channel stays within the origin by itself; it takes no target.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    post: (message) => channel?.postMessage(message),
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

/** Throws where tabs share stores and cannot agree on a writer: two of them would destroy each other's logs. */
export function findLocks(): LockManager | undefined {
  const locks = typeof navigator === "undefined" ? undefined : navigator.locks
  const isBrowser = "document" in globalThis || "importScripts" in globalThis
  if (locks !== undefined || !isBrowser) return locks
  throw new LoroReplicaError(
    "no-web-locks",
    "this browser has no Web Locks here, so tabs cannot agree on who writes the store: serve the page over https or from localhost, or use memoryStore()",
  )
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
