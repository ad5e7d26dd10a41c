import type { Clock } from "../ports/clock.ts"
import type { Inbox } from "../protocol/inbox.ts"
import type { Outbox } from "../protocol/outbox.ts"

/** Acknowledgements and credit on their way out. */
export interface Answers {
  /** Queues what is due, before a flush; an acknowledgement alone only once it has waited. */
  queue(): void
  close(): void
}

/** A message costs more than what is in it: an acknowledgement waits this long for another frame to go with. */
const ACKNOWLEDGE_AFTER_MS = 5

export function createAnswers(options: {
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly clock: Clock
  readonly flush: () => void
}): Answers {
  const { inbox, outbox, clock } = options
  let cancel: (() => void) | null = null

  const stopWaiting = (): void => {
    cancel?.()
    cancel = null
  }
  const answer = (): void => {
    stopWaiting()
    for (const frame of inbox.answers()) outbox.control(frame)
  }
  const answerAlone = (): void => {
    answer()
    options.flush()
  }

  return {
    queue() {
      if (outbox.hasControl || inbox.answersDue === "now") answer()
      else if (inbox.answersDue === "soon") cancel ??= clock.after(ACKNOWLEDGE_AFTER_MS, answerAlone)
    },
    close: stopWaiting,
  }
}
