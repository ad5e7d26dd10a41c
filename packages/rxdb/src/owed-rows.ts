import type { Clock, ReplicaReport } from "@dunlin/core"
import type { SerialQueue } from "./serial-queue.ts"

/** Shows the rows that a journal owes, again and again until the storage takes them. */
export interface OwedRows {
  /** Resolves even if that fails; it is then tried later. */
  show(): Promise<void>
  showLater(): void
  stop(): void
}

/** A full disk may have room again. */
const RETRY_MS = 5_000

export function createOwedRows(options: {
  readonly show: () => Promise<unknown>
  readonly queue: SerialQueue
  readonly clock: Clock
  readonly report: (report: ReplicaReport) => void
}): OwedRows {
  const { queue, clock } = options
  let cancel: (() => void) | null = null
  let isStopped = false

  const show = async (): Promise<void> => {
    try {
      await options.show()
    } catch (cause) {
      if (isStopped) return
      options.report({
        type: "warning",
        reason: "documents could not be shown as they are; they are tried again",
        cause,
      })
      showLater()
    }
  }
  const showLater = (): void => {
    if (isStopped) return
    cancel ??= clock.after(RETRY_MS, () => {
      cancel = null
      void queue.run(show)
    })
  }

  return {
    show,
    showLater,
    stop() {
      isStopped = true
      cancel?.()
    },
  }
}
