/** Code of the application that never answers must not hold up the collection. */
const PATIENCE_MS = 10_000

/** The application's code did not answer in time, or the room was left meanwhile: it may answer the next time. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError"
}

/** Rejects with `NoAnswerError` if the work takes too long; a later result is dropped. */
export type Patience = <T>(work: Promise<T>) => Promise<T>

export interface PatienceOptions {
  readonly leaving?: AbortSignal
  readonly patienceMs?: number
}

/**
 * Waits ten seconds, unless told otherwise, from the last answer to any of the calls that are waited for: code that works on one document at a
 * time answers the calls of a batch one by one, and is not stuck. The signal ends all waits.
 */
export function createPatience({ leaving, patienceMs = PATIENCE_MS }: PatienceOptions = {}): Patience {
  const giveUps = new Set<(error: NoAnswerError) => void>()
  let timer: ReturnType<typeof setTimeout> | undefined

  const giveUpAll = (reason: string): void => {
    for (const giveUp of giveUps) giveUp(new NoAnswerError(reason))
    giveUps.clear()
  }
  const waitAnew = (): void => {
    clearTimeout(timer)
    if (giveUps.size > 0)
      timer = setTimeout(() => giveUpAll(`no answer within ${patienceMs / 1000} s`), patienceMs)
  }
  const left = (): void => giveUpAll("the room was left before it answered")
  // Once for all: Node warns of a leak where a signal has more than ten listeners.
  leaving?.addEventListener("abort", left)

  return async (work) => {
    let giveUp: (error: NoAnswerError) => void = () => {}
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject
    })
    giveUps.add(giveUp)
    if (leaving?.aborted === true) left()
    waitAnew()
    try {
      return await Promise.race([work, givenUp])
    } finally {
      giveUps.delete(giveUp)
      waitAnew()
    }
  }
}
