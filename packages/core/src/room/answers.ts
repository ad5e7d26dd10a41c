import type { Clock } from "../ports/clock.ts"
import type { Inbox } from "../protocol/inbox.ts"
import type { Outbox } from "../protocol/outbox.ts"

/** Acknowledgements and credit on their way out. */
export interface Answers {
  /** Queues what is due, before a flush; an acknowledgement alone only once it has waited. */
  queue(): void
  close(): void
}

/** Sending a message costs more than its content: an acknowledgement waits this long for another frame to travel with. */
const ACKNOWLEDGE_AFTER_MS = 5
/**
 * Sending amid a flood costs milliseconds, since the transport is busy receiving. While entries keep coming in bulk, only
 * credit is sent, which the sender needs to go on, and acknowledgements travel with it.
 */
const LONGEST_WAIT_MS = 50

export function createAnswers(options: {
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly clock: Clock
  readonly flush: () => void
}): Answers {
  const { inbox, outbox, clock } = options
  let cancel: (() => void) | null = null
  let waitedMs = 0

  const stopWaiting = (): void => {
    cancel?.()
    cancel = null
    waitedMs = 0
  }
  const answer = (): void => {
    stopWaiting()
    for (const frame of inbox.answers()) outbox.control(frame)
  }
  const wait = (): void => {
    const before = inbox.entriesIn
    cancel = clock.after(ACKNOWLEDGE_AFTER_MS, () => {
      waitedMs += ACKNOWLEDGE_AFTER_MS
      const isFlooded = inbox.answersDue === "later" && inbox.entriesIn > before
      if (isFlooded && waitedMs < LONGEST_WAIT_MS) return wait()
      answer()
      options.flush()
    })
  }

  return {
    queue() {
      if (outbox.hasControl || inbox.answersDue === "now") answer()
      else if (inbox.answersDue !== "no" && cancel === null) wait()
    },
    close: stopWaiting,
  }
}
