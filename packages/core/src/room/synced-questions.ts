import { DecodeError } from "../protocol/decode-error.ts"
import type { Holding, SyncedAnswerFrame, SyncedWantFrame } from "../protocol/frame.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { MAX_LINKS_ANNOUNCED } from "../protocol/limits.ts"
import type { Outbox } from "../protocol/outbox.ts"

/** What two sessions of one device ask each other: which other devices hold durably what one of them holds. */
export interface SyncedQuestions {
  /**
   * `answered` is called whenever the other session knows something else. Returns a function that takes the question back,
   * or null when too many are open: ask again when one of them is over.
   */
  ask(question: SyncedQuestion, answered: (holdings: readonly DeviceHolding[]) => void): (() => void) | null
  /** A null `answer` takes the question back. Throws `DecodeError` for more questions than an honest session leaves open. */
  asked(nonce: number, answer: Answer | null): void
  answered(frame: SyncedAnswerFrame): void
  close(): void
}

/** How a device, 64 hex digits, stands to the entries waited for. */
export interface DeviceHolding {
  readonly device: string
  readonly holding: Holding
}

export type SyncedQuestion = Pick<SyncedWantFrame, "slots" | "positions">

type Answer = (signal: AbortSignal, tell: (holdings: readonly DeviceHolding[]) => void) => void

/** Open questions each way. */
const MAX_QUESTIONS = 1_024

export function createSyncedQuestions(outbox: Pick<Outbox, "control">, flush: () => void): SyncedQuestions {
  const answeredByNonce = new Map<number, (holdings: readonly DeviceHolding[]) => void>()
  /** One controller for each question: platforms warn of a leak when one signal has more than ten listeners. */
  const answering = new Map<number, AbortController>()
  let lastNonce = 0
  return {
    ask(question, answered) {
      if (answeredByNonce.size >= MAX_QUESTIONS) return null
      const nonce = ++lastNonce
      answeredByNonce.set(nonce, answered)
      const say = ({ slots, positions }: SyncedQuestion, over: boolean): void => {
        outbox.control({ type: "synced-want", nonce, over, slots, positions })
        flush()
      }
      say(question, false)
      return () => answeredByNonce.delete(nonce) && say({ slots: [], positions: [] }, true)
    },
    asked(nonce, answer) {
      answering.get(nonce)?.abort()
      answering.delete(nonce)
      if (answer === null) return
      if (answering.size >= MAX_QUESTIONS) throw new DecodeError("protocol-violation", "questions")
      const closing = new AbortController()
      answering.set(nonce, closing)
      answer(closing.signal, (holdings) => {
        const devices = holdings
          .slice(0, MAX_LINKS_ANNOUNCED)
          .map(({ device, holding }) => ({ device: hexToBytes(device), holding }))
        outbox.control({ type: "synced-answer", nonce, devices })
        flush()
      })
    },
    answered({ nonce, devices }) {
      answeredByNonce.get(nonce)?.(
        devices.map(({ device, holding }) => ({ device: bytesToHex(device), holding })),
      )
    },
    close() {
      answeredByNonce.clear()
      for (const closing of answering.values()) closing.abort()
    },
  }
}
