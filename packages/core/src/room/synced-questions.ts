import { DecodeError } from "../protocol/decode-error.ts"
import type { SyncedOutcome, SyncedWantFrame } from "../protocol/frame.ts"
import type { Outbox } from "../protocol/outbox.ts"

/** What two sessions of one device ask each other: when what one of them holds is durable at other devices. */
export interface SyncedQuestions {
  /** False when too many are open: ask again when one of them is answered. */
  ask(question: SyncedQuestion, answered: (outcome: SyncedOutcome) => void): boolean
  /** Throws `DecodeError` for more questions than an honest session leaves open. */
  asked(nonce: number, answer: (signal: AbortSignal) => Promise<SyncedOutcome>): void
  answered(nonce: number, outcome: SyncedOutcome): void
  close(): void
}

export type SyncedQuestion = Omit<SyncedWantFrame, "type" | "nonce">

/** Open ones each way. */
const MAX_QUESTIONS = 1_024

export function createSyncedQuestions(outbox: Pick<Outbox, "control">, flush: () => void): SyncedQuestions {
  const answeredByNonce = new Map<number, (outcome: SyncedOutcome) => void>()
  /** One each: platforms warn of a leak when one signal has more than ten listeners. */
  const answering = new Set<AbortController>()
  let nonce = 0
  return {
    ask(question, answered) {
      if (answeredByNonce.size >= MAX_QUESTIONS) return false
      answeredByNonce.set(++nonce, answered)
      outbox.control({ type: "synced-want", nonce, ...question })
      flush()
      return true
    },
    asked(theirNonce, answer) {
      if (answering.size >= MAX_QUESTIONS) throw new DecodeError("protocol-violation", "questions")
      const closing = new AbortController()
      answering.add(closing)
      answer(closing.signal)
        .then((outcome) => {
          outbox.control({ type: "synced-answer", nonce: theirNonce, outcome })
          flush()
        })
        .catch(() => {
          // The link or the room is closed: nobody waits for it.
        })
        .finally(() => answering.delete(closing))
    },
    answered(ownNonce, outcome) {
      const answered = answeredByNonce.get(ownNonce)
      answeredByNonce.delete(ownNonce)
      answered?.(outcome)
    },
    close() {
      for (const closing of answering) closing.abort()
    },
  }
}
