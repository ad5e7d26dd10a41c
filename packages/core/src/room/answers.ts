import type { Clock } from "../ports/clock.ts"
import type { Inbox } from "../protocol/inbox.ts"
import type { Outbox } from "../protocol/outbox.ts"

/** Acknowledgements and credit on their way out. */
export interface Answers {
  /** Queues what is due, before a flush; an acknowledgement alone only once it has waited. */
  queue(): void
  close(): void
}

/**
 * A message costs more than what is in it: an acknowledgement waits this long for another frame to go with. Of what comes in bulk
 * there is more to come, and a sender that runs out of credit waits for that, not for this.
 */
const ACKNOWLEDGE_AFTER_MS = { soon: 5, later: 20 } as const

export function createAnswers(options: {
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly clock: Clock
  readonly flush: () => void
}): Answers {
  const { inbox, outbox, clock } = options
  let cancel: (() => void) | null = null
  let wakeAt = Number.POSITIVE_INFINITY

  const stopWaiting = (): void => {
    cancel?.()
    cancel = null
    wakeAt = Number.POSITIVE_INFINITY
  }
  const waitAtMost = (delayMs: number): void => {
    const at = clock.monotonic() + delayMs
    if (at >= wakeAt) return
    stopWaiting()
    wakeAt = at
    cancel = clock.after(delayMs, answerAlone)
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
      const due = inbox.answersDue
      if (outbox.hasControl || due === "now") answer()
      else if (due !== "no") waitAtMost(ACKNOWLEDGE_AFTER_MS[due])
    },
    close: stopWaiting,
  }
}
