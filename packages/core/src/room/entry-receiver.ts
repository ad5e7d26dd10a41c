import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { ReplicaPeer } from "../ports/replica.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import type { DataFrame, HaveItem, PushFrame } from "../protocol/frame.ts"
import type { Inbox, Receipt } from "../protocol/inbox.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import { itemDigestOf } from "../protocol/range-record.ts"
import { startsWithBytes } from "../protocol/same-bytes.ts"
import type { BlobExchange } from "./blob-exchange.ts"
import { reasonForWire } from "./reason.ts"
import type { LinkTarget, RoomReplica } from "./room-replica.ts"
import type { JoinResult, Transition } from "./shared-replica.ts"

/** Joins what a peer sends, and does what each outcome asks for. */
export interface EntryReceiver {
  /** Throws `DecodeError` for an entry of another kind. Settles the receipt sooner or later. */
  receive(target: LinkTarget, frame: DataFrame | PushFrame, receipt: Receipt): void
  /** The peer says that it holds this digest: as one of many that may ("have"), or as the one to ask at once ("offer"). */
  offered(target: LinkTarget | null, item: HaveItem, by: "have" | "offer"): void
  /** Entries received and not durable yet. */
  joining(room: RoomReplica): number
  close(): void
}

export interface EntryReceiverOptions {
  readonly peer: ReplicaPeer
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly blobs: BlobExchange
  readonly clock: Clock
  readonly random: Random
  readonly events: EntryReceiverEvents
}

export interface EntryReceiverEvents {
  /** `push` is the peer's own push if it led exactly to where the entry is now. */
  joined(room: RoomReplica, transition: Transition, push: PushFrame | null): void
  wantedChanged(): void
  /** The peer pushed what was here already. */
  duplicate(target: LinkTarget): void
  refused(room: RoomReplica, reason: string): void
}

export function createEntryReceiver(options: EntryReceiverOptions): EntryReceiver {
  const { peer, inbox, outbox, blobs, clock, random, events } = options
  const joiningByReplica = new Map<RoomReplica, number>()
  let closed = false

  const countJoining = (room: RoomReplica, change: number): void => {
    joiningByReplica.set(room, (joiningByReplica.get(room) ?? 0) + change)
  }

  /** Another peer that also heard of the entry may bring it first, so most wants wait a little. */
  const want = (room: RoomReplica, position: Uint8Array, delayMs: number, digest: Uint8Array): void => {
    room.wanted.add(mapKey(position), peer.session, clock.monotonic() + delayMs, digest)
    events.wantedChanged()
  }
  const shortDelayMs = (): number => 50 + random.unit() * 150

  const join = (
    target: LinkTarget,
    frame: DataFrame | PushFrame,
    receipt: Receipt,
    position: Uint8Array,
  ): void => {
    countJoining(target.room, 1)
    target.room.shared.join({
      peer,
      key: frame.key,
      position,
      delta: frame.delta,
      settle(result) {
        countJoining(target.room, -1)
        if (!closed) settle(target, frame, receipt, position, result)
        else passOn(target.room, result)
      },
    })
  }

  /** The link is gone, but what it brought is here and goes on to the others. */
  const passOn = (room: RoomReplica, result: JoinResult): void => {
    if (result.type === "failed" || result.transition === null || result.outcome.type !== "joined") return
    if (result.outcome.changed) events.joined(room, result.transition, null)
  }

  const settle = (
    target: LinkTarget,
    frame: DataFrame | PushFrame,
    receipt: Receipt,
    position: Uint8Array,
    result: JoinResult,
  ): void => {
    const { room, own } = target
    if (result.type === "failed") {
      refuse(target, position, frame, "storage-failed", "again")
    } else if (result.outcome.type === "refused") {
      const held = room.shared.index.get(position)?.digest
      const first = own.refusals.decline(position, digestOf(frame), held)
      // A refused join is not answered, so the peer gets our state of the entry, once.
      if (first && own.permissions.send) own.queue.addEntry(position, null)
      refuse(target, position, frame, result.outcome.reason, "never")
    } else if (result.outcome.type === "incomplete") {
      refuse(target, position, frame, "incomplete", "again")
      want(room, position, 0, digestOf(frame))
    } else if (result.outcome.type === "missing-blobs") {
      const { blobs: missing } = result.outcome
      const drop = (): void => {
        refuse(target, position, frame, "blobs-missing", "again")
        inbox.settle(receipt)
        own.check()
      }
      // Until its blobs are here the entry counts as under way, so that roots are not compared without it.
      countJoining(room, 1)
      const ended = (again: boolean): void => {
        countJoining(room, -1)
        if (again) join(target, frame, receipt, position)
        else drop()
      }
      const heldBytes = receipt.credit + receipt.held
      if (!blobs.fetch({ own, key: frame.key, position, blobs: missing, heldBytes, ended })) ended(false)
      return
    } else if (result.transition !== null) {
      joined(target, frame, result.transition, result.outcome)
    }
    inbox.settle(receipt)
    own.check()
  }

  const joined = (
    { room, own }: LinkTarget,
    frame: DataFrame | PushFrame,
    transition: Transition,
    { senderLacks, changed }: { readonly senderLacks: Uint8Array | null; readonly changed: boolean },
  ): void => {
    const { position, after } = transition
    if (after !== null) room.wanted.holds(mapKey(position), after)
    if (changed) own.exchanged("received")
    if (senderLacks !== null && own.permissions.send) own.queue.addEntry(position, senderLacks)
    const equal = after !== null && startsWithBytes(after, digestOf(frame))
    if (equal) own.peerHolds(position, after)
    if (!equal && frame.type === "push" && after !== null) {
      // Writes crossed, or the push was based on another state: each side is told what the other has now. This goes out
      // before the acknowledgement, which alone would also confirm what the push was based on.
      own.held.contradict(position, after)
      if (senderLacks === null) want(room, position, shortDelayMs(), digestOf(frame))
    }
    if (changed) events.joined(room, transition, equal && frame.type === "push" ? frame : null)
  }

  /** The NAK goes out before the acknowledgement that counts the entry, and so overrules it. */
  const refuse = (
    { room, own }: LinkTarget,
    position: Uint8Array,
    frame: DataFrame | PushFrame,
    reason: string,
    until: "again" | "never",
  ): void => {
    const again = until === "again"
    const items = [{ position, digest: digestOf(frame), again, reason: reasonForWire(reason) }]
    outbox.control({ type: "nak", slot: room.shared.slot, items })
    if (again) own.postponed()
    // A delta made for another base is routine: the entry is asked for at once, and no diagnostic is needed.
    if (reason === "incomplete") return
    if (again) own.probeSoon()
    events.refused(room, reason)
  }

  return {
    receive(target, frame, receipt) {
      const { room, own } = target
      const { shared } = room
      if (frame.kind !== shared.replica.kind) throw new DecodeError("protocol-violation", "kind of entry")
      const position = shared.digests.position(frame.key)
      room.wanted.came(mapKey(position), peer.session, digestOf(frame))
      const held = shared.index.get(position)?.digest
      if (held === undefined || !startsWithBytes(held, digestOf(frame))) {
        join(target, frame, receipt, position)
        return
      }
      own.peerHolds(position, held)
      inbox.settle(receipt)
      if (frame.type === "push") events.duplicate(target)
      own.check()
    },
    offered(target, { position, digest }, by) {
      if (target === null) return
      const { room, own } = target
      own.peerHolds(position, digest)
      if (by === "have") own.feed.unconfirmed.crossed(mapKey(position))
      const held = room.shared.index.get(position)?.digest
      if (held !== undefined && startsWithBytes(held, digest)) {
        room.wanted.came(mapKey(position), peer.session, digest, false)
        if (by === "offer" && own.phase === "live") own.feed.confirm(position, held)
      } else if (own.permissions.receive && !own.refusals.hasDeclined(position, itemDigestOf(digest))) {
        want(room, position, by === "offer" && !own.sharesLinks ? 0 : shortDelayMs(), digest)
      }
    },
    joining: (room) => joiningByReplica.get(room) ?? 0,
    close() {
      closed = true
    },
  }
}

function digestOf(frame: DataFrame | PushFrame): Uint8Array {
  return frame.type === "data" ? frame.digest : frame.after
}
