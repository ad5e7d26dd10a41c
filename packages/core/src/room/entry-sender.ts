import type { ReadOutcome, ReplicaPeer } from "../ports/replica.ts"
import { bytesEqual, mapKey } from "../protocol/bytes-equal.ts"
import { MAX_ENTRY_BYTES, SHORT_DIGEST_BYTES } from "../protocol/limits.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { LinkReplica } from "./link-replica.ts"
import type { LinkTarget, RoomReplica } from "./room-replica.ts"

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

/** Bytes of entries read for a peer in one go, as far as the average tells. */
const READ_TARGET_BYTES = 262_144
const FIRST_READ_ENTRIES = 16
const MAX_READ_ENTRIES = 512
const MAX_READS = 2

interface ReadableEntry {
  readonly position: Uint8Array
  readonly summary: Uint8Array
  readonly held: { readonly digest: Uint8Array; readonly key: string }
}

export function createEntrySender(options: EntrySenderOptions): EntrySender {
  const { peer, outbox } = options
  let averageEntryBytes = READ_TARGET_BYTES / FIRST_READ_ENTRIES
  let reads = 0
  let closed = false

  /** Round robin over the replicas, one read each, so that a large one does not hold the others back. */
  const pump = (): void => {
    for (const target of options.targets()) {
      if (closed || !outbox.wantsBulk || reads >= MAX_READS) return
      if (target.own.reading > 0 || !target.own.permissions.send) continue
      const entries = takeReadable(target.own)
      if (entries.length > 0) void readAndSend(target, entries)
      else target.own.check()
    }
  }

  const takeReadable = (own: LinkReplica): readonly ReadableEntry[] => {
    const limit = Math.max(1, Math.min(MAX_READ_ENTRIES, Math.floor(READ_TARGET_BYTES / averageEntryBytes)))
    const entries: ReadableEntry[] = []
    // A batch of nothing but refused entries must not end the queue.
    for (let taken = own.queue.take(limit); taken.length > 0; taken = own.queue.take(limit)) {
      for (const { position, summary } of taken) {
        const held = own.shared.index.get(position)
        const refused = own.refusals.byPeer.get(mapKey(position))
        if (held === null || (refused !== undefined && bytesEqual(refused, held.digest))) continue
        entries.push({ position, summary, held })
      }
      if (entries.length > 0) break
    }
    return entries
  }

  const readAndSend = async (target: LinkTarget, entries: readonly ReadableEntry[]): Promise<void> => {
    const { own } = target
    reads++
    own.reading += entries.length
    try {
      const requests = entries.map(({ held, summary }) => ({ key: held.key, summary }))
      const outcomes = await own.shared.attached.read(requests, peer)
      if (closed || own.closed) return
      if (outcomes.length === 0) throw new Error("the replica answered no read")
      outcomes.forEach((outcome, at) => send(target, entries[at] as ReadableEntry, outcome))
      for (const { position, summary } of entries.slice(outcomes.length))
        own.queue.addEntry(position, summary)
    } catch (cause) {
      // What could not be read is found missing again by the next comparison of roots.
      own.postponed()
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

  const send = ({ own, room }: LinkTarget, { position, held }: ReadableEntry, outcome: ReadOutcome): void => {
    if (outcome.type === "none") return
    if (outcome.type === "refused" || outcome.delta.length > MAX_ENTRY_BYTES) {
      options.refused(room, outcome.type === "refused" ? outcome.reason : "entry-too-large")
      own.refusals.byPeer.set(mapKey(position), held.digest)
      return
    }
    const { slot, digests, replica } = own.shared
    const digest = digests.digest(replica.kind, held.key, outcome.stateHash)
    const short = digest.slice(0, SHORT_DIGEST_BYTES)
    const changes = own.feed.unconfirmed.changed(mapKey(position), digest)
    averageEntryBytes += (outcome.delta.length + 64 - averageEntryBytes) / 16
    outbox.bulk(
      { type: "data", slot, kind: replica.kind, key: held.key, digest: short, delta: outcome.delta },
      { slot, position, digest: short, changes },
    )
  }

  return {
    pump,
    close() {
      closed = true
    },
  }
}
