import { type Context, type Dot, type Incarnation } from "./dot.ts"
import { clockLimit, hlcFromMillis, latest, MAX_HLC } from "./hlc.ts"

/** Makes the dots of one process or tab. Never stored: a restart mints under fresh incarnations. */
export interface DotMinter {
  /** A dot above everything in `context`, the writes its author has seen. */
  mint(context: Context): Dot
  /** Takes note of a context from elsewhere: follows its clocks, and abandons an incarnation that others use, too. */
  observe(context: Context): void
  /** Whether this minter made the dot. */
  minted(dot: Dot): boolean
}

/** Time and randomness for a minter. */
export interface DotMinterOptions {
  /** Wall clock in milliseconds; may jump. */
  readonly now: () => number
  /** A fresh incarnation of 64 random bits. */
  readonly freshIncarnation: () => Incarnation
}

/** An incarnation in use. Its clocks rise strictly across all documents, so that none is reused even if a context is lost. */
interface Lane {
  readonly incarnation: Incarnation
  /** The first clock of this lane; 0 before there is one. */
  first: number
  last: number
}

/**
 * One for a process or tab: two minters must never get the same incarnation. It follows clocks from elsewhere up to five minutes
 * ahead of its own, so that one wrong clock does not move all of them.
 */
export function createDotMinter({ now, freshIncarnation }: DotMinterOptions): DotMinter {
  let followed = 0
  let lane: Lane | null = null
  // Documents with clocks far in the future get dots of a separate incarnation: one device with a wrong clock must
  // not move everyone's clock for every document.
  let aheadLane: Lane | null = null

  const open = (): Lane => ({ incarnation: freshIncarnation(), first: 0, last: 0 })
  const take = (from: Lane, hlc: number): Dot => {
    if (from.first === 0) from.first = hlc
    from.last = hlc
    return { incarnation: from.incarnation, hlc }
  }

  const mint = (context: Context): Dot => {
    const wall = hlcFromMillis(now())
    const floor = latest(context)
    if (floor < clockLimit(now())) {
      lane ??= open()
      const hlc = Math.max(wall, floor + 1, followed + 1, lane.last + 1)
      if (hlc <= MAX_HLC) return take(lane, hlc)
      lane = open()
      return take(lane, Math.max(wall, 1))
    }
    aheadLane ??= open()
    const hlc = Math.max(floor, aheadLane.last) + 1
    if (hlc <= MAX_HLC) return take(aheadLane, hlc)
    // This document has used up the clock. Causality alone still orders a write under a fresh incarnation.
    aheadLane = null
    return take(open(), Math.max(wall, 1))
  }

  return {
    mint,
    observe(context) {
      const limit = clockLimit(now())
      for (const hlc of context.values()) if (hlc > followed && hlc <= limit) followed = hlc
      if (lane !== null && (context.get(lane.incarnation) ?? 0) > lane.last) lane = null
      if (aheadLane !== null && (context.get(aheadLane.incarnation) ?? 0) > aheadLane.last) aheadLane = null
    },
    minted: (dot) =>
      [lane, aheadLane].some(
        (own) =>
          own !== null && own.incarnation === dot.incarnation && dot.hlc >= own.first && dot.hlc <= own.last,
      ),
  }
}
