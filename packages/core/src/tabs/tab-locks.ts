/** Web Locks of one room in one browser profile. They end with their tab, even when it crashes: that is the point. */
export interface TabLocks {
  /** Resolves once the lock is held. As long as this tab lives, a `watch` of the name waits. */
  hold(name: string): Promise<void>
  /** Calls `free` when nobody holds the name any more. Returns the function that ends the watch. */
  watch(name: string, free: () => void): () => void
  /**
   * Competes for a lock that one tab has at a time. Calls `decided` at once with whether it is this tab, and again when
   * it becomes this tab. Resolves once this tab has had the lock.
   */
  contend(name: string, decided: (isHolder: boolean) => void): Promise<void>
  /** Gives the lock up to the next tab that competes for it. */
  resign(): void
  /** Releases all locks and ends all watches. */
  release(): void
}

export function createTabLocks(locks: LockManager): TabLocks {
  const ended = new AbortController()
  const untilEnded = new Promise<void>((resolve) => {
    ended.signal.addEventListener("abort", () => resolve(), { once: true })
  })

  let resign = (): void => {}
  const untilResigned = (): Promise<void> =>
    Promise.race([untilEnded, new Promise<void>((resolve) => (resign = resolve))])

  return {
    resign: () => resign(),
    hold: (name) =>
      new Promise((resolve, reject) => {
        locks
          .request(name, { signal: ended.signal }, () => {
            resolve()
            return untilEnded
          })
          .catch(reject)
      }),
    watch(name, free) {
      const watching = new AbortController()
      const signal = AbortSignal.any([watching.signal, ended.signal])
      // Rejects when aborted: then there is nothing to tell.
      locks.request(name, { signal }, free).catch(() => {})
      return () => watching.abort()
    },
    async contend(name, decided) {
      const isTaken = await locks.request(name, { ifAvailable: true }, async (lock) => {
        if (ended.signal.aborted) return false
        decided(lock !== null)
        if (lock !== null) await untilResigned()
        return lock === null
      })
      if (!isTaken || ended.signal.aborted) return
      await locks
        .request(name, { signal: ended.signal }, () => {
          decided(true)
          return untilResigned()
        })
        .catch((error: unknown) => {
          if (!ended.signal.aborted) throw error
        })
    },
    release: () => ended.abort(),
  }
}
