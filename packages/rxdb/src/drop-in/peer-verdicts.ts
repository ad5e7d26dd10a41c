/** Remembers for a while what an application said of its peers: a refused peer comes again and again. */
export interface PeerVerdicts<Peer> {
  /** Asks the application unless it has answered recently. */
  of(peer: Peer): Promise<boolean>
}

export interface PeerVerdictsOptions<Peer> {
  readonly check: (peer: Peer) => boolean | Promise<boolean>
  /** What a verdict is about. */
  readonly subjectOf: (peer: Peer) => unknown
  /** Monotonic milliseconds. */
  readonly now: () => number
}

/** Long compared with the pauses between attempts, short for somebody who was let in or shut out meanwhile. */
export const VERDICT_MS = 60_000
/** There is a limit, since keys cost a stranger nothing. */
const MAX_VERDICTS = 1_024

interface Verdict {
  readonly answer: Promise<boolean>
  /** Null while the application, or the person it asks, has not answered. */
  answeredAt: number | null
}

export function createPeerVerdicts<Peer>({
  check,
  subjectOf,
  now,
}: PeerVerdictsOptions<Peer>): PeerVerdicts<Peer> {
  const verdicts = new Map<unknown, Verdict>()
  return {
    of(peer) {
      const subject = subjectOf(peer)
      const known = verdicts.get(subject)
      if (known !== undefined && (known.answeredAt === null || now() - known.answeredAt < VERDICT_MS))
        return known.answer
      const verdict: Verdict = { answer: Promise.resolve(peer).then(check), answeredAt: null }
      verdict.answer.then(
        () => {
          verdict.answeredAt = now()
        },
        () => {
          // No verdict at all: it is asked again.
          if (verdicts.get(subject) === verdict) verdicts.delete(subject)
        },
      )
      verdicts.delete(subject)
      verdicts.set(subject, verdict)
      for (const eldest of verdicts.keys()) {
        if (verdicts.size <= MAX_VERDICTS) break
        verdicts.delete(eldest)
      }
      return verdict.answer
    },
  }
}
