import type { ReplicaLinkPhase } from "../ports/replica.ts"
import type { RangeAckFrame, RangeFrame, RootItem } from "../protocol/frame.ts"
import type { ChangeFeed } from "./change-feed.ts"
import type { HeldEntries } from "./held-entries.ts"
import type { Owed } from "./owed.ts"
import type { Permissions } from "./permissions.ts"
import type { Refusals } from "./refusals.ts"
import type { SendQueue } from "./send-queue.ts"
import type { SharedReplica, Transition } from "./shared-replica.ts"

/** One replica on one link: reconciliation, roots, live changes, and what is still owed to the peer. */
export interface LinkReplica {
  readonly shared: SharedReplica
  readonly theirSlot: number
  readonly permissions: Permissions
  /** Others may bring what this peer offers. */
  readonly sharesLinks: boolean
  readonly phase: ReplicaLinkPhase
  /**
   * Whether everything from before this link is known to have been exchanged, or is counted as owed; not while the queue
   * has not been empty since a read failed. A responder knows only by agreement: the initiator may ask others for what
   * differs, and both be live meanwhile.
   */
  readonly compared: boolean
  readonly lastSyncedAt: number | null
  readonly queue: SendQueue
  readonly feed: ChangeFeed
  readonly refusals: Refusals
  readonly owed: Owed
  readonly held: HeldEntries
  readonly pendingOut: number
  /** Something could not be exchanged now: what differs is not excused by that. */
  postponed(): void
  /** The peer may lack what is here of an entry, and no comparison brings it there: it is offered in time. */
  owes(position: Uint8Array): void
  readonly closed: boolean
  /** Entries being read from the replica for the peer. */
  reading: number
  /** Nothing is read for a while, for the last read failed. What waits for it keeps nobody from comparing roots. */
  readonly resting: boolean
  rest(): void
  start(): void
  range(frame: RangeFrame): void
  rangeAck(frame: RangeAckFrame): void
  root(item: RootItem): void
  /** Pushes or announces a change, where entries may travel to the peer. */
  push(transition: Transition): void
  /** The peer said, or showed, that it holds this digest. */
  peerHolds(position: Uint8Array, digest: Uint8Array): void
  /** An entry came in or was confirmed and counted as progress. */
  exchanged(direction: "sent" | "received"): void
  /** Something that was under way has ended: roots may be due. */
  check(): void
  /** Asks for the peer's root now. */
  probe(): void
  /** The same before long: on a quiet link nothing else brings back what could not be taken. */
  probeSoon(): void
  rootItem(answer: boolean): RootItem
  close(): void
}
