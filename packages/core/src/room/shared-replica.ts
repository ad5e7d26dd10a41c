import type { Clock } from "../ports/clock.ts"
import type {
  AttachedReplica,
  AttachOptions,
  EntryChange,
  JoinOutcome,
  Replica,
  ReplicaHost,
  ReplicaPeer,
} from "../ports/replica.ts"
import { problemOfKey } from "../protocol/entry-key.ts"
import type { FingerprintIndex } from "../protocol/fingerprint-index.ts"
import type { KeyedDigest } from "../protocol/keyed-digest.ts"
import { sameBytes, sameDigest } from "../protocol/same-bytes.ts"
import { createIndexKeeper } from "./index-keeper.ts"
import { createRootHistory, type RootHistory } from "./root-history.ts"

/** A change of an entry as the index sees it. */
export interface Transition {
  readonly key: string
  readonly position: Uint8Array
  /** Digest, 16 bytes; null where there was, or is, no entry. */
  readonly before: Uint8Array | null
  readonly after: Uint8Array | null
  readonly delta?: Uint8Array
}

export type JoinResult =
  | { readonly type: "outcome"; readonly outcome: JoinOutcome; readonly transition: Transition | null }
  | { readonly type: "failed"; readonly cause: unknown }

export interface JoinJob {
  readonly peer: ReplicaPeer
  readonly key: string
  /** Position of the key. */
  readonly position: Uint8Array
  readonly delta: Uint8Array
  settle(result: JoinResult): void
}

/** The room's side of an attached replica: its index, and the order of what is joined into it. */
export interface SharedReplica<Handle = unknown> {
  readonly slot: number
  readonly replica: Replica<Handle>
  readonly attached: AttachedReplica<Handle>
  readonly index: FingerprintIndex
  readonly digests: KeyedDigest
  readonly history: RootHistory
  /** Joins in order of arrival, in batches; calls `settle` on every job, whatever happens. */
  join(job: JoinJob): void
  readonly joining: number
  /** Resolves when every local write that was complete before the call is in the index and was passed on. */
  flush(): Promise<void>
  /** Stores the index and detaches. Idempotent. */
  close(): Promise<void>
}

export interface SharedReplicaOptions<Handle> {
  readonly slot: number
  readonly replica: Replica<Handle>
  readonly digests: KeyedDigest
  readonly clock: Clock
  readonly host: Omit<ReplicaHost, "changed">
  /** Changes that were made here, already in the index. */
  readonly onLocal: (transitions: readonly Transition[]) => void
  /** A batch of joins was settled: the frames it calls for can be sent together. */
  readonly onBatch: () => void
  readonly attach?: AttachOptions<Handle>
}

const MAX_BATCH_ENTRIES = 2048
const MAX_BATCH_BYTES = 2_097_152
/**
 * After a batch as large as only a first sync brings, the next batch gathers entries for a moment: in many storages the
 * cost of a batch grows with what they already hold, and so does the number gathered.
 */
const MANY_ENTRIES = 64
const GATHERED_ENTRIES = 1_024
const GATHER_MS = 5
/** How often gathering goes on because many entries came meanwhile. */
const MAX_GATHERINGS = 8

/** For keys of a batch without changes, which are most: a list each would cost as much as joining them. Never written to. */
const NO_CHANGES: EntryChange[] = []

/** Attaches the replica and brings its index up to date. Rejects with what the replica rejects with. */
export async function shareReplica<Handle>(
  options: SharedReplicaOptions<Handle>,
): Promise<SharedReplica<Handle>> {
  const { replica, digests, slot } = options
  /** Changes reported before the index is there; null from then on. */
  let early: EntryChange[] | null = []
  /** Changes reported for keys that a running join may change too: sorted out when it is done. */
  let deferredByKey: Map<string, EntryChange[]> | null = null
  let runningBatch: Promise<void> | null = null
  const queue: JoinJob[] = []
  const history = createRootHistory()
  let running = 0
  let closed: Promise<void> | null = null

  const accepts = (key: string): boolean => {
    const reason = problemOfKey(key)
    if (reason !== null) options.host.report({ type: "quarantined", key, reason })
    return reason === null
  }

  const changed = (changes: readonly EntryChange[]): void => {
    if (early !== null) {
      // Not as arguments: a bulk insert is longer than an argument list may be.
      for (const change of changes) early.push(change)
      return
    }
    const transitions: Transition[] = []
    for (const change of changes) {
      if (!accepts(change.key)) continue
      const deferred = deferredByKey?.get(change.key)
      if (deferred === undefined) transitions.push(apply(change))
      else if (deferred.length > 0) deferred.push(change)
      else deferredByKey?.set(change.key, [change])
    }
    report(transitions)
  }

  const attached = await replica.attach({ ...options.host, changed }, options.attach)
  const keeper = createIndexKeeper({
    attached,
    digests,
    kind: replica.kind,
    roomTag: options.host.roomTag,
    clock: options.clock,
    accepts,
    onFailure: (cause) =>
      options.host.report({ type: "warning", reason: "the sync index could not be stored", cause }),
  })

  try {
    await keeper.open(options.attach?.signal)
  } catch (error) {
    await attached.detach()
    throw error
  }
  const { index } = keeper

  const digestOf = (key: string, stateHash: Uint8Array | null): Uint8Array | null =>
    stateHash === null ? null : digests.digest(replica.kind, key, stateHash)

  const apply = (change: EntryChange, position: Uint8Array = digests.position(change.key)): Transition => {
    const before = index.get(position)?.digest ?? null
    const after = digestOf(change.key, change.stateHash)
    keeper.set(position, after, change.key)
    if (!sameDigest(before, after)) history.changed(position)
    // A delta fits only a peer in the state in which this change began.
    const { key, delta } = change
    const fits = delta !== undefined && sameDigest(before, digestOf(key, change.before))
    return fits ? { key, position, before, after, delta } : { key, position, before, after }
  }

  const report = (transitions: readonly Transition[]): void => {
    const real = transitions.filter(({ before, after }) => !sameDigest(before, after))
    if (real.length > 0) options.onLocal(real)
  }

  const runBatch = async (batch: readonly JoinJob[]): Promise<void> => {
    deferredByKey = new Map()
    for (const { key } of batch) deferredByKey.set(key, NO_CHANGES)
    const peer = (batch[0] as JoinJob).peer
    const results = await joinSafely(attached, batch, peer)
    const deferred = deferredByKey
    deferredByKey = null
    batch.forEach((job, at) => {
      const result = results[at] as JoinOutcome | { readonly type: "failed"; readonly cause: unknown }
      if (result.type === "failed") {
        job.settle(result)
        return
      }
      job.settle(joined(result, job, deferred))
    })
    report([...deferred.values()].flatMap((changes) => changes.map((change) => apply(change))))
    running = 0
    options.onBatch()
  }

  /** What the index makes of an outcome. A replica that answers nonsense fails the entry, not the room. */
  const joined = (
    outcome: JoinOutcome,
    { key, position }: JoinJob,
    deferred: ReadonlyMap<string, EntryChange[]>,
  ): JoinResult => {
    if (outcome.type !== "joined") return { type: "outcome", outcome, transition: null }
    try {
      // Also reported first: otherwise a peer that confirms the write alone would count as holding the result of the join.
      const earlier = deferred.get(key) ?? NO_CHANGES
      if (earlier.length > 0) report(applyEarlier(earlier, key, outcome.before))
      const transition = apply({ key, stateHash: outcome.stateHash, before: outcome.before }, position)
      return { type: "outcome", outcome, transition }
    } catch (cause) {
      return { type: "failed", cause }
    }
  }

  /** A local write that the join was based on came first, even if it was reported while the join ran. */
  const applyEarlier = (
    changes: EntryChange[],
    key: string,
    joinedUpon: Uint8Array | null,
  ): readonly Transition[] => {
    if (joinedUpon === null) return []
    const upTo = changes.findIndex(({ stateHash }) => stateHash !== null && sameBytes(stateHash, joinedUpon))
    const held = index.get(digests.position(key))?.digest ?? null
    if (upTo < 0 || sameDigest(held, digestOf(key, joinedUpon))) return []
    return changes.splice(0, upTo + 1).map((change) => apply(change))
  }

  let gathered = (): void => {}
  const enough = (): number => Math.min(Math.max(GATHERED_ENTRIES, index.count >> 3), MAX_BATCH_ENTRIES)
  const gather = async (): Promise<void> => {
    for (let time = 0; time < MAX_GATHERINGS && closed === null; time++) {
      const before = queue.length
      if (before >= enough()) return
      await new Promise<void>((resolve) => {
        const cancel = options.clock.after(GATHER_MS, resolve)
        gathered = () => {
          cancel()
          resolve()
        }
      })
      if (queue.length < before + MANY_ENTRIES) return
    }
  }

  const drain = async (): Promise<void> => {
    // Waits for the other entries of the same message: the first one alone is not worth a batch.
    await Promise.resolve()
    while (queue.length > 0) {
      const batch = takeBatch(queue)
      running = batch.length
      runningBatch = runBatch(batch)
      await runningBatch
      runningBatch = null
      if (batch.length >= MANY_ENTRIES) await gather()
    }
  }

  let draining: Promise<void> | null = null
  const startDraining = (): void => {
    draining ??= drain().finally(() => {
      draining = null
      if (queue.length > 0) startDraining()
    })
  }

  const buffered = early
  early = null
  changed(buffered)

  return {
    slot,
    replica,
    attached,
    index,
    digests,
    history,
    join(job) {
      if (closed !== null) {
        job.settle({ type: "failed", cause: new Error("the replica is closed") })
        return
      }
      queue.push(job)
      if (queue.length >= enough()) gathered()
      startDraining()
    },
    get joining() {
      return queue.length + running
    },
    async flush() {
      await attached.flush?.()
      const deferred = [...(deferredByKey?.values() ?? [])].some((changes) => changes.length > 0)
      if (deferred) await runningBatch
    },
    close() {
      closed ??= (async () => {
        gathered()
        const rest = queue.splice(0)
        for (const job of rest) job.settle({ type: "failed", cause: new Error("the replica is closed") })
        await draining
        await keeper.close()
        await attached.detach()
      })()
      return closed
    },
  }
}

/** Takes from the head of the queue the jobs for one call of the replica: all of one peer, and bounded. */
function takeBatch(queue: JoinJob[]): readonly JoinJob[] {
  const session = (queue[0] as JoinJob).peer.session
  let bytes = 0
  let count = 0
  for (const job of queue) {
    const full = count >= MAX_BATCH_ENTRIES || bytes + job.delta.length > MAX_BATCH_BYTES
    if (job.peer.session !== session || (count > 0 && full)) break
    bytes += job.delta.length
    count++
  }
  return queue.splice(0, count)
}

/** A replica that throws fails the batch, not the room. */
async function joinSafely(
  attached: AttachedReplica,
  batch: readonly JoinJob[],
  peer: ReplicaPeer,
): Promise<readonly (JoinOutcome | { readonly type: "failed"; readonly cause: unknown })[]> {
  // A replica may send them to a worker, where the rest of a job cannot go.
  const entries = batch.map(({ key, delta }) => ({ key, delta }))
  try {
    const outcomes = await attached.join(entries, peer)
    if (outcomes.length === batch.length) return outcomes
    throw new Error(`the replica answered ${outcomes.length} of ${batch.length} joins`)
  } catch (cause) {
    return batch.map(() => ({ type: "failed", cause }))
  }
}
