import { type Clock, hashValue, type RegisterValue, sameBytes } from "@dunlin/core"
import { createPatience, NoAnswerError, type Patience } from "./within-time.ts"

/** Asks code of the application about documents, each of which may be one that it never answers for. */
export interface AskedCode {
  /** Rejects with `NoAnswerError` if there is no answer in time, and at once while a pause of this document lasts. */
  ask(key: string, value: RegisterValue, run: () => Promise<unknown>): Promise<unknown>
  /** Ends all pauses: somebody wants to know now. */
  endPauses(): void
}

export interface AskedCodeOptions {
  readonly clock: Clock
  /** Once this is aborted, nothing is waited for. */
  readonly leaving: AbortSignal
  /** An answer has come that nobody waited for any more: whoever asks again gets it. */
  readonly answered: (key: string) => void
}

/** A question that was not answered in time. */
interface Overdue {
  readonly hash: Uint8Array
  readonly answer: Promise<unknown>
  readonly pauseMs: number
  /** How often it was asked since the last answer. */
  readonly asked: number
  /** Until then it is not asked about the same again, unless it answers. */
  until: number
  isAnswered: boolean
}

type Last = Pick<Overdue, "asked" | "pauseMs">

/** How long a document that had no answer is waited for: others of its batch wait with it. */
const BRIEF_MS = 250
const PAUSE = { firstMs: 5_000, longestMs: 80_000 }
/** Who rewrites a document that fast gets no more questions asked: each may keep memory of the application's for good. */
const MAX_ASKED_AT_ONCE = 5
/** Beyond that, the first ones are waited for again as if they were new. */
const MAX_OVERDUE = 4_096

export function createAskedCode({ clock, leaving, answered }: AskedCodeOptions): AskedCode {
  const patiently = createPatience({ leaving })
  const briefly = createPatience({ leaving, patienceMs: BRIEF_MS })
  const overdueByKey = new Map<string, Overdue>()

  const note = (key: string, value: RegisterValue, answer: Promise<unknown>, last: Last): void => {
    const { hash } = hashValue(value)
    const until = clock.monotonic() + last.pauseMs
    const overdue: Overdue = { ...last, hash, answer, until, isAnswered: false }
    overdueByKey.delete(key)
    overdueByKey.set(key, overdue)
    const [first] = overdueByKey.keys()
    if (overdueByKey.size > MAX_OVERDUE && first !== undefined) overdueByKey.delete(first)
    const settle = (): void => {
      if (overdueByKey.get(key) !== overdue) return
      overdue.isAnswered = true
      answered(key)
    }
    answer.then(settle, settle)
  }

  const wait = async (
    key: string,
    value: RegisterValue,
    answer: Promise<unknown>,
    { patience, ...last }: Last & { readonly patience: Patience },
  ): Promise<unknown> => {
    try {
      const inTime = await patience(answer)
      overdueByKey.delete(key)
      return inTime
    } catch (error) {
      if (error instanceof NoAnswerError && !leaving.aborted) note(key, value, answer, last)
      else overdueByKey.delete(key)
      throw error
    }
  }

  return {
    ask(key, value, run) {
      const overdue = overdueByKey.get(key)
      const first: Last = { asked: 1, pauseMs: PAUSE.firstMs }
      if (overdue === undefined) return wait(key, value, run(), { ...first, patience: patiently })
      const isSame = sameBytes(overdue.hash, hashValue(value).hash)
      if (overdue.isAnswered && isSame) {
        overdueByKey.delete(key)
        return overdue.answer
      }
      if (overdue.isAnswered) return wait(key, value, run(), { ...first, patience: briefly })
      const isOver = clock.monotonic() >= overdue.until
      if (!isOver && (isSame || overdue.asked >= MAX_ASKED_AT_ONCE))
        return Promise.reject(new NoAnswerError("no answer yet; it is asked again after a pause"))
      const pauseMs = isOver ? Math.min(2 * overdue.pauseMs, PAUSE.longestMs) : overdue.pauseMs
      const asked = isOver ? 1 : overdue.asked + 1
      return wait(key, value, run(), { asked, pauseMs, patience: briefly })
    },
    endPauses() {
      for (const overdue of overdueByKey.values()) overdue.until = 0
    },
  }
}
