import { sameBytes, startsWithBytes } from "./same-bytes.ts"

/** An entry that some peer is known to hold in a state that is not here. */
interface Wanted {
  /** Links that hold it, the next one to ask first. */
  sources: string[]
  /** The digest (8 bytes) that all of them announced; null if they differ, or if one announced none. */
  digest: Uint8Array | null
  /** The link that was asked, or will be asked first. */
  from: string
  /** The link whose comparison found the entry, and which relies on being asked. */
  found: string | null
  asked: boolean
  /** When to ask, or to ask the next one. */
  at: number
  /** When it was last asked for. */
  askedAt: number
  attempts: number
}

export interface WantedRequest {
  readonly position: string
  readonly link: string
}

/**
 * One table per replica for the whole room, so that if many peers offer the same entry only one of them is asked, and
 * the next only if that one does not answer. Positions and links are Map keys; times are monotonic milliseconds.
 */
export interface WantedTable {
  /**
   * `link` holds the entry with this digest, which is null if a comparison found the entry. False if another link was asked
   * for it, or will be asked first, or if the table is full; then reconciliation will find the entry again.
   */
  add(position: string, link: string, at: number, digest?: Uint8Array | null): boolean
  /**
   * Requests that are due; each counts as asked from now on. `heardAt` tells when a link last brought an entry or a piece of
   * one, so that what is on its way over a slow link is not asked for again. A link that `isFull` is not asked now.
   */
  due(
    now: number,
    heardAt?: (link: string) => number,
    isFull?: (link: string) => boolean | undefined,
  ): readonly WantedRequest[]
  /** The entry is no longer wanted. */
  resolve(position: string): void
  /**
   * `link` brought the entry with this digest. It is no longer wanted, unless a comparison found something else at another
   * link. If not `brought`, `link` only announced what is here already; what another link announced may be newer and stays
   * wanted.
   */
  came(position: string, link: string, digest: Uint8Array, brought?: boolean): void
  /** The entry is now here with this digest. If it became wanted while it was being joined, it need not come again. */
  holds(position: string, digest: Uint8Array): void
  /** The link is gone, or will not bring these positions: what was asked of it is asked of the next link at once. */
  dropLink(link: string, now: number, positions?: Iterable<string>): void
  /** Number of entries that the link was asked for, or will be asked for first. */
  pending(link: string): number
  readonly size: number
}

const MAX_WANTED = 32_768
/** A peer that announces entries which nobody has must leave places for what others announce. */
const MAX_WANTED_OF_LINK = 8_192
/** Several such peers must not keep others' entries out for good: each link has this many places in any case. */
const ALWAYS_WANTED_OF_LINK = 512
const MAX_ATTEMPTS = 4
const ANSWER_TIMEOUT_MS = 4_000
/** For the only link that has an entry. Asked twice, it would bring it twice: one message may take seconds on a slow path. */
const ONLY_ANSWER_TIMEOUT_MS = 16_000
/** The longest wait for a link that brings everything else. */
const LONGEST_WAIT_MS = 60_000
/** The same for the only link that has the entry. Until the entry is given up, the two sides cannot agree on the replica. */
const ONLY_LONGEST_WAIT_MS = 1_800_000

/**
 * `unanswered` is called for each entry that a comparison found at a link and that does not come from there. The link would
 * get what is held here as the answer to its delta, and without a delta it would not get it at all.
 */
export function createWantedTable(
  unanswered: (position: string, link: string) => void = () => {},
): WantedTable {
  const wantedByPosition = new Map<string, Wanted>()
  const pendingByLink = new Map<string, number>()

  const count = (link: string, change: number): void => {
    const pending = (pendingByLink.get(link) ?? 0) + change
    if (pending > 0) pendingByLink.set(link, pending)
    else pendingByLink.delete(link)
  }

  const drop = (position: string, wanted: Wanted): void => {
    count(wanted.from, -1)
    wantedByPosition.delete(position)
  }

  return {
    add(position, link, at, digest = null) {
      const wanted = wantedByPosition.get(position)
      if (wanted !== undefined) {
        if (digest === null || wanted.digest === null || !sameBytes(digest, wanted.digest))
          wanted.digest = null
        if (digest === null && wanted.from === link) wanted.found = link
        // As many as there are links: some that never bring it must not keep out one that does.
        if (!wanted.sources.includes(link)) {
          // Before the link that was asked, which is the last.
          if (wanted.asked) wanted.sources.unshift(link)
          else wanted.sources.push(link)
        }
        if (!wanted.asked) wanted.at = Math.min(wanted.at, at)
        return wanted.from === link
      }
      const most = wantedByPosition.size < MAX_WANTED ? MAX_WANTED_OF_LINK : ALWAYS_WANTED_OF_LINK
      if ((pendingByLink.get(link) ?? 0) >= most) return false
      wantedByPosition.set(position, {
        sources: [link],
        digest,
        from: link,
        found: digest === null ? link : null,
        asked: false,
        askedAt: 0,
        at,
        attempts: 0,
      })
      count(link, 1)
      return true
    },
    due(now, heardAt = () => -Infinity, isFull = () => false) {
      const requests: WantedRequest[] = []
      for (const [position, wanted] of wantedByPosition) {
        if (wanted.at > now) continue
        const { asked, askedAt, from, sources } = wanted
        const isOnly = asked && sources.length === 1
        const silentMs = now - Math.max(askedAt, heardAt(from))
        const isAnswering = isOnly
          ? silentMs < ONLY_ANSWER_TIMEOUT_MS && now - askedAt < ONLY_LONGEST_WAIT_MS
          : silentMs < ANSWER_TIMEOUT_MS && now - askedAt < LONGEST_WAIT_MS
        if (asked && isAnswering) continue
        if (asked && wanted.found === from) unanswered(position, from)
        const link = sources.shift()
        if (link === undefined || isOnly || wanted.attempts >= MAX_ATTEMPTS) {
          drop(position, wanted)
          continue
        }
        // A source that does not answer goes to the end: the others may not have it either.
        sources.push(link)
        if (isFull(link)) continue
        count(from, -1)
        wanted.from = link
        wanted.asked = true
        count(link, 1)
        wanted.attempts++
        wanted.askedAt = now
        wanted.at = now + ANSWER_TIMEOUT_MS
        requests.push({ position, link })
      }
      return requests
    },
    resolve(position) {
      const wanted = wantedByPosition.get(position)
      if (wanted !== undefined) drop(position, wanted)
    },
    came(position, link, digest, brought = true) {
      const wanted = wantedByPosition.get(position)
      if (wanted === undefined) return
      const { from, found, sources } = wanted
      const next = found ?? (brought ? link : sources.find((source) => source !== link))
      const isKnown = wanted.digest !== null && startsWithBytes(digest, wanted.digest)
      if (isKnown || next === undefined || next === link) return drop(position, wanted)
      wanted.sources = [next]
      if (from === next) return
      count(from, -1)
      count(next, 1)
      Object.assign(wanted, { from: next, asked: false, at: 0 })
    },
    holds(position, digest) {
      const wanted = wantedByPosition.get(position)
      if (wanted?.digest != null && startsWithBytes(digest, wanted.digest)) drop(position, wanted)
    },
    dropLink(link, now, positions = wantedByPosition.keys()) {
      for (const position of positions) {
        const wanted = wantedByPosition.get(position)
        if (wanted === undefined) continue
        wanted.sources = wanted.sources.filter((source) => source !== link)
        if (wanted.found === link) {
          wanted.found = null
          unanswered(position, link)
        }
        const next = wanted.sources[0]
        if (next === undefined) {
          drop(position, wanted)
        } else if (wanted.from === link) {
          count(link, -1)
          count(next, 1)
          wanted.from = next
          if (wanted.asked) wanted.at = now
          wanted.asked = false
        }
      }
    },
    pending: (link) => pendingByLink.get(link) ?? 0,
    get size() {
      return wantedByPosition.size
    },
  }
}
