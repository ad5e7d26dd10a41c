import type { ReadOutcome, ReplicaPeer } from "../ports/replica.ts"
import {
  MAX_ENTRY_BYTES,
  MAX_PUSH_BYTES,
  MAX_UNACKNOWLEDGED,
  SHORT_DIGEST_BYTES,
} from "../protocol/limits.ts"
import type { PushFrame } from "../protocol/frame.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import { offerAll } from "./offer-newer.ts"
import type { LinkTarget, RoomReplica } from "./room-replica.ts"
import type { QueuedEntry } from "./send-queue.ts"

/** Reads what a peer lacks from the replicas and sends it, as fast as the link takes it and no faster. */
export interface EntrySender {
  /** Starts reads while there is room for what they bring. */
  pump(): void
  close(): void
}

export interface EntrySenderOptions {
  readonly peer: ReplicaPeer
  readonly outbox: Outbox
  readonly targets: () => Iterable<LinkTarget>
  readonly refused: (room: RoomReplica, reason: string) => void
  readonly flush: () => void
}

/** Bytes of entries read for a peer in one go, judging by the average entry. */
const READ_TARGET_BYTES = 262_144
const FIRST_READ_ENTRIES = 16
/** No more than one WITHHELD may name. */
const MAX_READ_ENTRIES = 512
const MAX_READS = 2
/** Bytes sent unasked over one link: few enough to take no longer than the round trip that they save. */
const UNASKED_BYTES = 65_536

interface ReadableEntry extends QueuedEntry {
  readonly held: { readonly digest: Uint8Array; readonly key: string }
}

export function createEntrySender(options: EntrySenderOptions): EntrySender {
  const { peer, outbox } = options
  let averageEntryBytes = READ_TARGET_BYTES / FIRST_READ_ENTRIES
  /** Drops to one after a failed read and grows again, so that one unreadable entry does not hold back the others. */
  let mostEntries = MAX_READ_ENTRIES
  let reads = 0
  let unaskedBytes = UNASKED_BYTES
  let closed = false

  /** Round robin over the replicas, one read each, so that a large one does not hold the others back. */
  const pump = (): void => {
    for (const target of options.targets()) {
      if (closed || !outbox.wantsBulk || reads >= MAX_READS) return
      if (outbox.unacknowledgedBulk >= MAX_UNACKNOWLEDGED) return
      if (target.own.reading > 0 || target.own.resting || !target.own.permissions.send) continue
      const entries = takeReadable(target.own)
      if (entries.length > 0) void readAndSend(target, entries)
      else target.own.check()
    }
  }

  const takeReadable = (own: LinkReplica): readonly ReadableEntry[] => {
    const limit = Math.min(mostEntries, Math.ceil(READ_TARGET_BYTES / averageEntryBytes))
    const entries: ReadableEntry[] = []
    let taken: readonly QueuedEntry[]
    do {
      const withheld: QueuedEntry[] = []
      taken = own.queue.take(limit)
      for (const entry of taken) {
        const held = own.shared.index.get(entry.position)
        if (held === null || own.refusals.isByPeer(entry.position, held.digest)) withheld.push(entry)
        else if (entry.unasked && unaskedBytes <= 0) offer(own, entry.position, held.digest)
        else entries.push({ ...entry, held })
      }
      withhold(own, withheld)
      // A batch of nothing but refused entries must not stop the queue. But a run may find any number of them again, and
      // more WITHHELDs than the control lane has room for would look like a peer that does not read.
    } while (taken.length > 0 && entries.length === 0 && outbox.wantsBulk)
    return entries
  }

  /** A peer that asked for them need not wait any longer, and may ask others. */
  const withhold = ({ shared: { slot } }: LinkReplica, entries: readonly QueuedEntry[]): void => {
    const positions = entries.map(({ position }) => position)
    if (positions.length === 0) return
    outbox.control({ type: "withheld", slot, positions })
    options.flush()
  }

  const readAndSend = async (target: LinkTarget, entries: readonly ReadableEntry[]): Promise<void> => {
    const { own } = target
    reads++
    own.reading += entries.length
    const { changes } = own.feed.unconfirmed
    try {
      const requests = entries.map(({ held, summary }) => ({ key: held.key, summary }))
      const outcomes = await own.shared.attached.read(requests, peer)
      if (closed || own.closed) return
      if (outcomes.length === 0) throw new Error("the replica answered none of the reads")
      const answered = entries.slice(0, outcomes.length)
      withhold(
        own,
        answered.filter((entry, at) => !send(target, entry, outcomes[at] as ReadOutcome, changes)),
      )
      putBack(own, entries.slice(outcomes.length))
      mostEntries = Math.min(mostEntries * 2, MAX_READ_ENTRIES)
    } catch (cause) {
      // The peer may not ask again: once it finds that nothing more comes, it takes the difference for entries that may not travel.
      putBack(own, entries)
      mostEntries = 1
      own.rest()
      options.refused(target.room, `could not be read: ${String(cause)}`)
    } finally {
      reads--
      own.reading -= entries.length
    }
    if (closed) return
    own.check()
    pump()
    options.flush()
  }

  const putBack = ({ queue }: LinkReplica, entries: readonly QueuedEntry[]): void => {
    for (const { position, summary, unasked } of entries) {
      if (unasked) queue.addUnasked(position)
      else queue.addEntry(position, summary)
    }
  }

  const offer = ({ shared }: LinkReplica, position: Uint8Array, digest: Uint8Array): void =>
    offerAll(outbox, shared.slot, [{ position, digest }])

  /**
   * Whether an entry that nobody asked for is cheap enough. The peer may lack only a little of a long one, and asks for
   * just that once the entry is offered. Entries that are too long count too, because they were read.
   */
  const affords = ({ length }: Uint8Array): boolean => {
    unaskedBytes -= Math.min(length, MAX_PUSH_BYTES)
    return length <= MAX_PUSH_BYTES && unaskedBytes >= 0
  }

  /** False when the peer gets nothing. */
  const send = (
    { own, room }: LinkTarget,
    { position, held, unasked }: ReadableEntry,
    outcome: ReadOutcome,
    upTo: number,
  ): boolean => {
    const { unconfirmed } = own.feed
    if (outcome.type === "none") {
      unconfirmed.confirmed(mapKey(position), upTo)
      return false
    }
    if (outcome.type === "refused" || outcome.delta.length > MAX_ENTRY_BYTES) {
      own.refusals.byPeer.set(mapKey(position), held.digest)
      if (own.refusals.isByPeer(position, own.shared.index.get(position)?.digest ?? held.digest))
        unconfirmed.refused(mapKey(position))
      options.refused(room, outcome.type === "refused" ? outcome.reason : "entry-too-large")
      return false
    }
    const { slot, digests, replica } = own.shared
    const { key } = held
    const { kind } = replica
    const { delta } = outcome
    const digest = digests.digest(kind, key, outcome.stateHash)
    const short = digest.slice(0, SHORT_DIGEST_BYTES)
    const changes = unconfirmed.changed(mapKey(position))
    const reference = { slot, position, digest: short, changes }
    averageEntryBytes += (delta.length + 64 - averageEntryBytes) / 16
    if (!unasked) {
      outbox.bulk({ type: "data", slot, kind, key, digest: short, delta }, reference)
      return true
    }
    // On the control lane: on the bulk lane it might overtake the announcement of its replica.
    const before = new Uint8Array(SHORT_DIGEST_BYTES)
    const push: PushFrame = { type: "push", slot, kind, key, before, after: short, delta }
    if (!affords(delta) || !outbox.push(push, reference)) offer(own, position, digest)
    return true
  }

  return {
    pump,
    close() {
      closed = true
    },
  }
}
