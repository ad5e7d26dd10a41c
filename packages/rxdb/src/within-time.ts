/** Code of the application that never answers must not hold up the collection. */
const PATIENCE_MS = 10_000

/** The application's code did not answer in time, or the room was left meanwhile: it may answer the next time. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError"
}

/** Rejects with `NoAnswerError` when `work` takes too long; a later result is dropped. */
export type Patience = <T>(work: Promise<T>) => Promise<T>

/**
 * All that is waited for together is given up ten seconds after the last answer to any of it: code that works on one document at
 * a time answers a batch one by one, and is not stuck. The signal ends every wait.
 */
export function createPatience(leaving?: AbortSignal): Patience {
  const giveUps = new Set<(error: NoAnswerError) => void>()
  let timer: ReturnType<typeof setTimeout> | undefined

  const giveUpAll = (reason: string): void => {
    for (const giveUp of giveUps) giveUp(new NoAnswerError(reason))
    giveUps.clear()
  }
  const waitAnew = (): void => {
    clearTimeout(timer)
    if (giveUps.size > 0)
      timer = setTimeout(() => giveUpAll(`no answer within ${PATIENCE_MS / 1000} s`), PATIENCE_MS)
  }
  const left = (): void => giveUpAll("the room was left before it answered")
  // One listener for all waits: Node warns of a leak where a signal has more than ten listeners.
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
