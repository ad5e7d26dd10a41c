/** What the application's code is given to answer: a call that never does must not hold up the collection. */
const ANSWER_MS = 10_000
/** Each next one, as long as one that was given up has not answered: the documents behind it wait for all of them in turn. */
const HURRY_MS = 100

/** The application's code did not answer in time, or the room was left meanwhile: it may answer the next time. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError"
}

/** Waits for the application's code, and not for ever. Rejects with `NoAnswerError`, or as that code does. */
export type Patience = <T>(work: Promise<T>) => Promise<T>

/** Patience that has an end with the signal, too. */
export function createPatience(signal: AbortSignal): Patience {
  let overdue = 0
  return async (work) => {
    try {
      return await withinTime(work, overdue === 0 ? ANSWER_MS : HURRY_MS, signal)
    } catch (error) {
      if (error instanceof NoAnswerError) {
        overdue++
        const answered = (): void => void overdue--
        work.then(answered, answered)
      }
      throw error
    }
  }
}

export async function withinTime<T>(
  work: Promise<T>,
  limitMs: number = ANSWER_MS,
  signal?: AbortSignal,
): Promise<T> {
  let giveUp: (error: NoAnswerError) => void = () => {}
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  const late = (): void => giveUp(new NoAnswerError(`no answer within ${limitMs / 1000} s`))
  const left = (): void => giveUp(new NoAnswerError("the room was left before it answered"))
  const timer = setTimeout(late, limitMs)
  signal?.addEventListener("abort", left)
  if (signal?.aborted === true) left()
  try {
    return await Promise.race([work, givenUp])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener("abort", left)
  }
}
