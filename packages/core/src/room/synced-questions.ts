import { DecodeError } from "../protocol/decode-error.ts"
import type { SyncedOutcome, SyncedWantFrame } from "../protocol/frame.ts"
import type { Outbox } from "../protocol/outbox.ts"

/** What two sessions of one device ask each other: when what one of them holds is durable at other devices. */
export interface SyncedQuestions {
  /** Returns a function that takes the question back, or null when too many are open: ask again when one of them is answered. */
  ask(question: SyncedQuestion, answered: (outcome: SyncedOutcome) => void): (() => void) | null
  /** A null `answer` takes the question back. Throws `DecodeError` for more questions than an honest session leaves open. */
  asked(nonce: number, answer: ((signal: AbortSignal) => Promise<SyncedOutcome>) | null): void
  answered(nonce: number, outcome: SyncedOutcome): void
  close(): void
}

export type SyncedQuestion = Omit<SyncedWantFrame, "type" | "nonce">

/** Open questions each way. */
const MAX_QUESTIONS = 1_024

export function createSyncedQuestions(outbox: Pick<Outbox, "control">, flush: () => void): SyncedQuestions {
  const answeredByNonce = new Map<number, (outcome: SyncedOutcome) => void>()
  /** One controller for each question: platforms warn of a leak when one signal has more than ten listeners. */
  const answering = new Map<number, AbortController>()
  let nonce = 0
  return {
    ask(question, answered) {
      if (answeredByNonce.size >= MAX_QUESTIONS) return null
      const own = ++nonce
      answeredByNonce.set(own, answered)
      const say = (change: Partial<SyncedQuestion>): void => {
        outbox.control({ type: "synced-want", nonce: own, ...question, ...change })
        flush()
      }
      say({})
      return () => answeredByNonce.delete(own) && say({ devices: 0, positions: [] })
    },
    asked(question, answer) {
      answering.get(question)?.abort()
      answering.delete(question)
      if (answer === null) return
      if (answering.size >= MAX_QUESTIONS) throw new DecodeError("protocol-violation", "questions")
      const closing = new AbortController()
      answering.set(question, closing)
      answer(closing.signal)
        .then((outcome) => {
          answering.delete(question)
          outbox.control({ type: "synced-answer", nonce: question, outcome })
          flush()
        })
        .catch(() => {
          // The link or the room is closed, or the question was taken back: nobody waits for it.
        })
    },
    answered(question, outcome) {
      const answered = answeredByNonce.get(question)
      answeredByNonce.delete(question)
      answered?.(outcome)
    },
    close() {
      answeredByNonce.clear()
      for (const closing of answering.values()) closing.abort()
    },
  }
}
