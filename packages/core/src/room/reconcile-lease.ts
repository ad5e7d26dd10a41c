/**
 * Who may reconcile one replica now. A device that is far behind and meets many peers at once would receive
 * everything from each of them: it takes from one, and finds itself equal to the rest.
 */
export interface ReconcileLease {
  /** True when `link` has, or gets, a place. `behind`: most of the peer's entries are missing here. */
  acquire(link: string, behind: boolean, now: number): boolean
  /** The link made progress and keeps its place. */
  renew(link: string, now: number): void
  release(link: string): void
}

/** A holder without progress for this long loses its place to whoever asks. */
const IDLE_LIMIT_MS = 2_000
/** Receiving a small difference twice costs little, and healing a large room one link at a time would take seconds. */
const MAX_HOLDERS = 4
/** However lively it looks, a holder keeps others waiting no longer than this. */
const LONGEST_EXCLUSIVE_MS = 30_000

export function createReconcileLease(): ReconcileLease {
  const holderByLink = new Map<
    string,
    { progressAt: number; readonly since: number; readonly behind: boolean }
  >()

  return {
    acquire(link, behind, now) {
      const own = holderByLink.get(link)
      if (own !== undefined) {
        own.progressAt = now
        return true
      }
      for (const [held, { progressAt }] of holderByLink) {
        if (now - progressAt > IDLE_LIMIT_MS) holderByLink.delete(held)
      }
      const others = [...holderByLink.values()].filter(({ since }) => now - since < LONGEST_EXCLUSIVE_MS)
      const crowded = others.length >= MAX_HOLDERS || others.some((holder) => holder.behind || behind)
      if (crowded) return false
      holderByLink.set(link, { progressAt: now, since: now, behind })
      return true
    },
    renew(link, now) {
      const holder = holderByLink.get(link)
      if (holder !== undefined) holder.progressAt = now
    },
    release: (link) => void holderByLink.delete(link),
  }
}
