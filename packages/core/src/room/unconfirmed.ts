interface UnconfirmedEntry {
  /** Count of the oldest change that is not confirmed. */
  first: number
  /** Count of the newest. */
  last: number
  /** Changes up to here had been sent when the peer said that it holds something else. */
  crossedAt: number
}

/** Entries of one replica that one peer is not known to hold durably, in terms of a running count of changes. */
export interface Unconfirmed {
  /** Notes a change; returns its count. */
  changed(position: string): number
  /**
   * The peer took the entry as it was at change `upTo` or, with `alone`, only that change. False when this does not show
   * that it holds the entry, because it said that it holds something else.
   */
  confirmed(position: string, upTo: number, alone?: boolean): boolean
  /** The peer holds something else, or did not take what was sent: changes that are under way are joined to that. */
  crossed(position: string): void
  /** The peer says that it holds what is here now. True when that was not known. */
  holds(position: string): boolean
  /** The peer will not take the entry as it is: nothing is under way any more, but it is not held either. */
  refused(position: string): void
  /** The peer holds everything. */
  confirmAll(): void
  /** Whether every change up to `count` is confirmed. */
  confirmedUpTo(count: number, only?: Iterable<string>): boolean
  /** Whether a change up to `count` was refused, and the entry was not taken since. */
  refusedUpTo(count: number, only?: Iterable<string>): boolean
  /** Positions of at most so many unconfirmed entries, the oldest first. */
  oldest(count: number): readonly string[]
  /** The count of the newest change. */
  readonly changes: number
  /** Counts up to here belong to an earlier announcement of this replica on the link. */
  readonly since: number
  readonly size: number
  /** Entries that were refused, and not taken since. */
  readonly refusedCount: number
}

/** `nextCount` counts the changes of a whole link, so that a replica announced again never takes old confirmations for its own. */
export function createUnconfirmed(nextCount: () => number): Unconfirmed {
  const entryByPosition = new Map<string, UnconfirmedEntry>()
  /** Counts of the oldest change of an entry that was refused. */
  const refusedByPosition = new Map<string, number>()
  const since = nextCount()
  let changes = since
  const drop = (position: string): boolean => {
    refusedByPosition.delete(position)
    return entryByPosition.delete(position)
  }

  return {
    changed(position) {
      changes = nextCount()
      const entry = entryByPosition.get(position)
      if (entry === undefined) entryByPosition.set(position, { first: changes, last: changes, crossedAt: 0 })
      else entry.last = changes
      return changes
    },
    confirmed(position, upTo, alone = false) {
      const entry = entryByPosition.get(position)
      if (entry === undefined) return true
      if (alone && upTo <= entry.crossedAt) return false
      if (entry.last <= upTo) drop(position)
      else entry.first = Math.max(entry.first, upTo + 1)
      return true
    },
    crossed(position) {
      const entry = entryByPosition.get(position)
      if (entry !== undefined) entry.crossedAt = entry.last
    },
    holds: drop,
    refused(position) {
      const first = entryByPosition.get(position)?.first ?? (changes = nextCount())
      refusedByPosition.set(position, refusedByPosition.get(position) ?? first)
      entryByPosition.delete(position)
    },
    confirmAll() {
      entryByPosition.clear()
      refusedByPosition.clear()
    },
    confirmedUpTo(count, only = entryByPosition.keys()) {
      for (const position of only)
        if ((entryByPosition.get(position)?.first ?? Infinity) <= count) return false
      return true
    },
    refusedUpTo(count, only = refusedByPosition.keys()) {
      for (const position of only) if ((refusedByPosition.get(position) ?? Infinity) <= count) return true
      return false
    },
    oldest(count) {
      const positions: string[] = []
      for (const position of entryByPosition.keys()) {
        if (positions.length === count) break
        positions.push(position)
      }
      return positions
    },
    get changes() {
      return changes
    },
    since,
    get size() {
      return entryByPosition.size
    },
    get refusedCount() {
      return refusedByPosition.size
    },
  }
}
