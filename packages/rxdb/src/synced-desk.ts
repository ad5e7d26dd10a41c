import { type Clock, type ReplicaHost, ReplicaError, RoomError } from "@dunlin/core"
import type { TabChannel } from "./tab-channel.ts"
import { cutMessage, type SyncedOutcome, type SyncedQuestion } from "./tab-message.ts"

/** Where the tab that replicates a collection answers the others that ask whether other devices hold what they stored. */
export interface SyncedDesk {
  /** No answer leaves any more. Idempotent. */
  close(): void
}

export interface SyncedDeskOptions {
  readonly channel: TabChannel
  readonly clock: Clock
  readonly synced: ReplicaHost["synced"]
}

interface OpenQuestion {
  readonly isPatient: boolean
  readonly gone: AbortController
  /** The tab still asks. */
  renew(): void
}

/**
 * Of those with a signal, and of those without: they do not wait for devices that may never come, so they need not wait for those
 * that do. More have to wait until one of their kind comes to an end.
 */
const MAX_OPEN = 256
/** Tabs in the background may have one turn of their timers a minute. */
const LEASE_MS = 180_000

export function createSyncedDesk({ channel, clock, synced }: SyncedDeskOptions): SyncedDesk {
  const openById = new Map<string, OpenQuestion>()

  const answer = async (id: string, { isPatient, ...options }: SyncedQuestion): Promise<void> => {
    const gone = new AbortController()
    let cancelLease = (): void => {}
    const renew = (): void => {
      cancelLease()
      cancelLease = clock.after(LEASE_MS, () => gone.abort())
    }
    renew()
    openById.set(id, { isPatient, gone, renew })
    // Without a signal it ends by itself where too few devices are connected.
    const outcome = await synced({ ...options, ...(isPatient ? { signal: gone.signal } : {}) }).then(
      (): SyncedOutcome => ({ type: "held" }),
      outcomeOf,
    )
    cancelLease()
    openById.delete(id)
    if (outcome !== null && !gone.signal.aborted) channel.post({ type: "answer", id, outcome })
  }

  const hasRoomFor = ({ isPatient }: SyncedQuestion): boolean => {
    let open = 0
    for (const one of openById.values()) if (one.isPatient === isPatient) open++
    return open < MAX_OPEN
  }

  channel.listen((message) => {
    if (message.type === "drop") openById.get(message.id)?.gone.abort()
    if (message.type !== "ask") return
    const { id, question } = message
    const known = openById.get(id)
    // Also to one that has to wait for its turn: it is asked again, and silence would mean that nobody replicates.
    channel.post({ type: "heard", id })
    if (known !== undefined) known.renew()
    else if (hasRoomFor(question)) void answer(id, question)
  })
  channel.post({ type: "here" })

  return {
    close() {
      channel.close()
      for (const { gone } of openById.values()) gone.abort()
    },
  }
}

/** Null where another tab may still answer: this one closes. */
function outcomeOf(error: unknown): SyncedOutcome | null {
  if (error instanceof RoomError) {
    const { code } = error
    return code === "no-peers" || code === "refused"
      ? { type: code, message: cutMessage(error.message) }
      : null
  }
  if (error instanceof ReplicaError && error.code === "replica-closed") return null
  return { type: "failed", message: cutMessage(String(error)) }
}
