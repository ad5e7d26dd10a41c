/** Code of the application that never answers must not hold up the collection. */
const PATIENCE_MS = 10_000

/** The application's code did not answer in time, or the room was left meanwhile: it may answer the next time. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError"
}

/** Rejects with `NoAnswerError` when `work` takes too long, or when the signal aborts; a later result is dropped. */
export async function withinTime<T>(work: Promise<T>, leaving?: AbortSignal): Promise<T> {
  let giveUp: (error: NoAnswerError) => void = () => {}
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  const late = (): void => giveUp(new NoAnswerError(`no answer within ${PATIENCE_MS / 1000} s`))
  const left = (): void => giveUp(new NoAnswerError("the room was left before it answered"))
  const timer = setTimeout(late, PATIENCE_MS)
  leaving?.addEventListener("abort", left)
  if (leaving?.aborted === true) left()
  try {
    return await Promise.race([work, givenUp])
  } finally {
    clearTimeout(timer)
    leaving?.removeEventListener("abort", left)
  }
}
