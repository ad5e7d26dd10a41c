import type { Clock } from "../ports/clock.ts"
import type { AttachOptions, Replica, StandingReplica } from "../ports/replica.ts"
import { ReplicaError } from "../ports/replica.ts"
import { within } from "../ports/within.ts"
import { MAX_NAME_BYTES, MAX_REPLICAS, MAX_SLOTS } from "../protocol/limits.ts"
import { encodeUtf8 } from "../protocol/utf8.ts"
import type { SharedReplica } from "./shared-replica.ts"
import type { SyncEngineEvents } from "./sync-engine-api.ts"

/** Replicas on their way into the room, and those that stand by. */
export interface OpeningReplicas {
  /** Resolves with the handle as soon as there is one. Rejects when the replica does not attach, and when the room closes. */
  open<Handle>(replica: Replica<Handle>, steps: OpeningSteps<Handle>): Promise<Handle>
  /** The replica closed by itself. */
  released(name: string): void
  /** Resolves when the replica has attached; undefined if it is not being opened. */
  attached(name: string): Promise<unknown> | undefined
  /** Includes those that could not take over, until they are opened again. */
  standing(): readonly StandingReplica[]
  /** The room closes: whoever opens the same stores next must find them free, but a replica that does not react is not waited for long. */
  close(): Promise<unknown>
}

export interface OpeningSteps<Handle> {
  share(slot: number, options: AttachOptions<Handle>): Promise<SharedReplica<Handle>>
  /** Not called when the replica, or the room, was closed meanwhile. */
  add(shared: SharedReplica<Handle>): void
}

export interface OpeningReplicasOptions {
  readonly clock: Clock
  readonly closing: AbortSignal
  readonly events: Pick<SyncEngineEvents, "replicaReport">
  /** The attached replicas. */
  readonly replicasByName: ReadonlyMap<string, unknown>
}

interface Opening {
  done: Promise<unknown>
  reject(reason: unknown): void
  /** Closed by itself or with its room. */
  released?: boolean
}

const ATTACH_PATIENCE_MS = 5_000

export function createOpeningReplicas({
  clock,
  closing,
  events,
  replicasByName,
}: OpeningReplicasOptions): OpeningReplicas {
  const openings = new Map<string, Opening>()
  /** Includes those that could not take over: nobody sends what they store, so `synced()` still has to ask them. */
  const standingByName = new Map<string, StandingReplica>()
  let nextSlot = 0

  const assertUsable = ({ name, schemaTag }: Replica): void => {
    closing.throwIfAborted()
    if (replicasByName.has(name) || openings.has(name)) {
      const message = `This room already has a replica named "${name}". Give this one another name.`
      throw new ReplicaError("duplicate-name", message)
    }
    if (name === "" || [name, schemaTag].some(isTooLong)) {
      throw new ReplicaError(
        "invalid-option",
        `A replica's name has 1 to ${MAX_NAME_BYTES} bytes, its schema tag at most as many.`,
      )
    }
    const isFull = replicasByName.size + openings.size >= MAX_REPLICAS
    if (isFull || nextSlot >= MAX_SLOTS) {
      const message = `A room carries at most ${MAX_REPLICAS} replicas, and ${MAX_SLOTS} in its life.`
      throw new ReplicaError("invalid-option", message)
    }
  }

  return {
    async open<Handle>(replica: Replica<Handle>, { share, add }: OpeningSteps<Handle>) {
      assertUsable(replica)
      const { name } = replica
      return new Promise<Handle>((resolve, reject) => {
        // Registered before `attach` begins, since the replica may be released meanwhile.
        const opening: Opening = { done: Promise.resolve(), reject }
        openings.set(name, opening)
        standingByName.delete(name)
        const attach = async (): Promise<void> => {
          const shared = await share(nextSlot++, {
            signal: closing,
            standBy(standing) {
              if (opening.released) return
              standingByName.set(name, standing)
              resolve(standing.handle)
            },
          })
          if (opening.released) {
            await shared.close()
            closing.throwIfAborted()
            throw new ReplicaError("replica-closed", `The replica "${name}" was closed.`)
          }
          add(shared)
          standingByName.delete(name)
          resolve(shared.attached.handle)
        }
        opening.done = attach().finally(() => openings.delete(name))
        opening.done.catch((cause: unknown) => {
          if (standingByName.has(name))
            events.replicaReport(name, { type: "warning", reason: "this tab could not take over", cause })
          reject(cause)
        })
      })
    },
    released(name) {
      const opening = openings.get(name)
      if (opening) opening.released = true
      standingByName.delete(name)
    },
    attached: (name) => openings.get(name)?.done,
    standing: () => [...standingByName.values()],
    close() {
      standingByName.clear()
      const all = [...openings.values()].map((opening) => {
        opening.released = true
        opening.reject(closing.reason)
        return opening.done
      })
      return within(clock, ATTACH_PATIENCE_MS, Promise.allSettled(all), null)
    },
  }
}

function isTooLong(text: string): boolean {
  return encodeUtf8(text).length > MAX_NAME_BYTES
}
