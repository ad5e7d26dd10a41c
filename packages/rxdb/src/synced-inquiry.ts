import { type Clock, type Random, ReplicaError, type ReplicaHost, RoomError } from "@dunlin/core"
import { hexFromBytes } from "./byte-text.ts"
import type { TabChannel } from "./tab-channel.ts"
import { areKeys, type SyncedOutcome, type SyncedQuestion } from "./tab-message.ts"

type SyncedOptions = NonNullable<Parameters<ReplicaHost["synced"]>[0]>

/** In a tab that stands by, asks the one that replicates its collection. */
export interface SyncedInquiry {
  /**
   * Resolves with true when other devices hold what was stored here before the call, and with false when this tab has
   * taken over and has to find out by itself. Rejects as `synced()` does.
   */
  ask(options: SyncedOptions): Promise<boolean>
  takeOver(): void
  /** Open questions reject with the reason. */
  close(reason: unknown): void
}

export interface SyncedInquiryOptions {
  readonly channel: TabChannel
  readonly clock: Clock
  readonly random: Random
}

interface OpenQuestion {
  post(): void
  heard(): void
  answered(outcome: SyncedOutcome): void
  end(settle: (resolve: (isHeld: boolean) => void, reject: (reason: unknown) => void) => void): void
}

const ASK_MS = 5_000
/** Half a minute, as long as `synced()` waits where too few devices are connected. */
const MAX_UNHEARD = 6

export function createSyncedInquiry({ channel, clock, random }: SyncedInquiryOptions): SyncedInquiry {
  const openById = new Map<string, OpenQuestion>()
  let hasTakenOver = false

  channel.listen((message) => {
    if (message.type === "here") for (const open of openById.values()) open.post()
    if (message.type === "heard") openById.get(message.id)?.heard()
    if (message.type === "answer") openById.get(message.id)?.answered(message.outcome)
  })

  return {
    ask(options) {
      if (hasTakenOver) return Promise.resolve(false)
      const { peers = 1, signal } = options
      return new Promise((resolve, reject) => {
        // The other tab would not answer a question that no `synced()` accepts.
        if (!(peers >= 0)) throw new RoomError("invalid-option", "peers must be 0 or more.")
        if (signal?.aborted === true) return reject(signal.reason)
        const id = hexFromBytes(random.bytes(16))
        const question = questionOf(options)
        let unheard = 0
        const open: OpenQuestion = {
          post: () => channel.post({ type: "ask", id, question }),
          heard() {
            unheard = 0
          },
          answered: (outcome) =>
            open.end(() => (outcome.type === "held" ? resolve(true) : reject(errorOf(outcome)))),
          end(settle) {
            openById.delete(id)
            cancel()
            signal?.removeEventListener("abort", abort)
            settle(resolve, reject)
          },
        }
        const giveUp = (reason: unknown): void => {
          channel.post({ type: "drop", id })
          open.end(() => reject(reason))
        }
        const abort = (): void => giveUp(signal?.reason)
        const ask = (): void => {
          if (signal === undefined && unheard >= MAX_UNHEARD) return giveUp(silenceError())
          unheard++
          open.post()
          cancel = clock.after(ASK_MS, ask)
        }
        let cancel = (): void => {}
        openById.set(id, open)
        signal?.addEventListener("abort", abort, { once: true })
        ask()
      })
    },
    takeOver() {
      hasTakenOver = true
      for (const open of [...openById.values()]) open.end((resolve) => resolve(false))
      channel.close()
    },
    close(reason) {
      for (const [id, open] of [...openById]) {
        channel.post({ type: "drop", id })
        open.end((_, reject) => reject(reason))
      }
      channel.close()
    },
  }
}

function questionOf({ keys, peers, session, signal }: SyncedOptions): SyncedQuestion {
  return {
    isPatient: signal !== undefined,
    ...(areKeys(keys) ? { keys: [...keys] } : {}),
    ...(peers === undefined ? {} : { peers }),
    ...(session === undefined ? {} : { session }),
  }
}

function errorOf({ type, message }: Exclude<SyncedOutcome, { readonly type: "held" }>): Error {
  if (type === "failed")
    return new ReplicaError("storage-failed", `The tab that replicates the collection failed: ${message}`)
  return new RoomError(type, message)
}

function silenceError(): RoomError {
  return new RoomError(
    "no-peers",
    "The tab that replicates this collection has not answered for 30 s. Changes are kept until it does.",
  )
}
