import { sameBytes, startsWithBytes } from "./same-bytes.ts"

/** An entry that some peer is known to hold and that is not here in that state. */
interface Wanted {
  /** Links that hold it, the next to ask first. */
  sources: string[]
  /** The digest (8 bytes) that all of them hold, as far as they said; null when they differ. */
  digest: Uint8Array | null
  /** The link that was asked, or will be first. */
  from: string
  /** The link whose comparison found the entry, and which counts on being asked. */
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
 * One table per replica for the whole room, so that of many peers that offer the same entry one is asked, and the
 * next only when it does not answer. Positions and links are Map keys; times are monotonic milliseconds.
 */
export interface WantedTable {
  /**
   * `link` holds the entry, with this digest; null when a comparison found it. False when another link is, or will first be, asked
   * for it, and when the table is full: reconciliation will find the entry again.
   */
  add(position: string, link: string, at: number, digest?: Uint8Array | null): boolean
  /**
   * Requests that are due; each counts as asked from now on. `heardAt` tells when a link last brought an entry, or a piece of
   * one: what is on its way over a slow link is not asked for again.
   */
  due(now: number, heardAt?: (link: string) => number): readonly WantedRequest[]
  /** The entry is no longer wanted. */
  resolve(position: string): void
  /**
   * `link` brought this digest: it is wanted no more, unless a comparison found something else at another link. Not `brought`, it
   * only holds what is here as well: what another link announced may be newer.
   */
  came(position: string, link: string, digest: Uint8Array, brought?: boolean): void
  /** The entry is here with this digest: one that was wanted while it was being joined need not come again. */
  holds(position: string, digest: Uint8Array): void
  /** The link is gone, or does not bring these: what was asked of it is asked of the next at once. */
  dropLink(link: string, now: number, positions?: Iterable<string>): void
  /** Entries that were, or will first be, asked of the link. */
  pending(link: string): number
  readonly size: number
}

const MAX_WANTED = 32_768
/** A peer that tells of entries which nobody has leaves room for what others tell of. */
const MAX_WANTED_OF_LINK = 8_192
const MAX_SOURCES = 4
const MAX_ATTEMPTS = 4
const ANSWER_TIMEOUT_MS = 4_000
/** The only link that has it is not asked again, which would bring it twice: one message may take seconds on a slow path. */
const ONLY_ANSWER_TIMEOUT_MS = 16_000
/** A link that brings everything else is not waited for any longer than this. */
const LONGEST_WAIT_MS = 60_000
/** A peer that answers nothing for it may bring everything else, and until that is given up nothing of the replica is agreed on. */
const ONLY_LONGEST_WAIT_MS = 1_800_000

/**
 * `unanswered` hears of each entry that a comparison found at a link and that does not come from there: what is held of it here the
 * link gets by answering a delta, and so not at all.
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
        if (!wanted.sources.includes(link) && wanted.sources.length < MAX_SOURCES) {
          // Before the one that was asked, which is the last.
          if (wanted.asked) wanted.sources.unshift(link)
          else wanted.sources.push(link)
        }
        if (!wanted.asked) wanted.at = Math.min(wanted.at, at)
        return wanted.from === link
      }
      if (wantedByPosition.size >= MAX_WANTED || (pendingByLink.get(link) ?? 0) >= MAX_WANTED_OF_LINK)
        return false
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
    due(now, heardAt = () => Number.NEGATIVE_INFINITY) {
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
