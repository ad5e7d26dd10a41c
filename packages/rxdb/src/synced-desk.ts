import { type Clock, type ReplicaHost, ReplicaError, RoomError } from "@dunlin/core"
import type { TabChannel } from "./tab-channel.ts"
import { cutMessage, type SyncedOutcome, type SyncedQuestion } from "./tab-message.ts"

/** In the tab that replicates a collection, answers other tabs that ask whether other devices hold their writes. */
export interface SyncedDesk {
  /** No answer is sent any more. Idempotent. */
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
  /** The tab is still asking. */
  renew(): void
}

/**
 * The limit for questions with a signal, and for those without: the latter do not wait for devices that may never come,
 * and must not have to wait for questions that do. More have to wait until one of their kind ends.
 */
const MAX_OPEN = 256
/** The timers of a tab in the background may run only once a minute. */
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
    // Without a signal, `synced()` ends by itself where too few devices are connected.
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
    // Also for a question that has to wait its turn: it is asked again, and silence would mean that no tab replicates.
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

/** Null when this tab is closing and another one may still answer. */
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
