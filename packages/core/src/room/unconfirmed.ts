import { startsWithBytes } from "../protocol/bytes-equal.ts"

interface UnconfirmedEntry {
  /** Count of the oldest change that is not confirmed. */
  first: number
  /** Count of the newest. */
  last: number
  digest: Uint8Array | null
}

/** Entries of one replica that one peer is not known to hold durably, in terms of a running count of changes. */
export interface Unconfirmed {
  /** Notes a change; returns its count. */
  changed(position: string, digest: Uint8Array | null): number
  /** The peer holds what the entry was at change `upTo`. */
  confirmed(position: string, upTo: number): void
  /** The peer says that it holds this digest (8 bytes or more). True when that confirms the newest change. */
  holds(position: string, digest: Uint8Array): boolean
  /** The peer will not take the entry as it is: nothing is under way any more, but it is not held either. */
  refused(position: string): void
  /** The peer holds everything. */
  confirmAll(): void
  /** Whether every change up to `count` is confirmed. */
  confirmedUpTo(count: number, only?: ReadonlySet<string>): boolean
  /** Whether a change up to `count` was refused, and the entry was not taken since. */
  refusedUpTo(count: number, only?: ReadonlySet<string>): boolean
  /** Positions of so many entries that are not confirmed, the oldest first. */
  oldest(count: number): readonly string[]
  /** The count of the newest change. */
  readonly changes: number
  /** Counts up to here belong to what the link had under this name before. */
  readonly since: number
  readonly size: number
}

/** `nextCount` counts the changes of a whole link, so that a replica announced anew never takes up old confirmations. */
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
    changed(position, digest) {
      changes = nextCount()
      const entry = entryByPosition.get(position)
      if (entry === undefined) entryByPosition.set(position, { first: changes, last: changes, digest })
      else {
        entry.last = changes
        entry.digest = digest
      }
      return changes
    },
    confirmed(position, upTo) {
      const entry = entryByPosition.get(position)
      if (entry === undefined) return
      if (entry.last <= upTo) drop(position)
      else entry.first = Math.max(entry.first, upTo + 1)
    },
    holds(position, digest) {
      const entry = entryByPosition.get(position)
      if (entry?.digest == null) return false
      return startsWithBytes(entry.digest, digest) && drop(position)
    },
    refused(position) {
      const first = entryByPosition.get(position)?.first ?? (changes = nextCount())
      refusedByPosition.set(position, refusedByPosition.get(position) ?? first)
      entryByPosition.delete(position)
    },
    confirmAll() {
      entryByPosition.clear()
      refusedByPosition.clear()
    },
    confirmedUpTo(count, only) {
      for (const [position, entry] of entryByPosition) {
        if (entry.first <= count && (only === undefined || only.has(position))) return false
      }
      return true
    },
    refusedUpTo: (count, only) =>
      [...refusedByPosition].some(
        ([position, first]) => first <= count && (only === undefined || only.has(position)),
      ),
    oldest: (count) => [...entryByPosition.keys()].slice(0, count),
    get changes() {
      return changes
    },
    since,
    get size() {
      return entryByPosition.size
    },
  }
}
