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
  readonly gone: AbortController
  /** The tab still asks. */
  renew(): void
}

/** Questions beyond it stay unanswered: those that are open have to come to an end first. */
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
    openById.set(id, { gone, renew })
    // Without a signal it ends by itself where too few devices are connected.
    const outcome = await synced({ ...options, ...(isPatient ? { signal: gone.signal } : {}) }).then(
      (): SyncedOutcome => ({ type: "held" }),
      outcomeOf,
    )
    cancelLease()
    openById.delete(id)
    if (outcome !== null && !gone.signal.aborted) channel.post({ type: "answer", id, outcome })
  }

  channel.listen((message) => {
    if (message.type === "drop") openById.get(message.id)?.gone.abort()
    if (message.type !== "ask") return
    const { id, question } = message
    const known = openById.get(id)
    if (known === undefined && openById.size >= MAX_OPEN) return
    channel.post({ type: "heard", id })
    if (known === undefined) void answer(id, question)
    else known.renew()
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
