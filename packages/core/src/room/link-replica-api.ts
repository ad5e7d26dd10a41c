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
  /** A third peer is linked to both sides, and may bring what this peer offers. */
  readonly sharesLinks: boolean
  readonly phase: ReplicaLinkPhase
  /**
   * Whether everything from before this link is known to have been exchanged, or is counted as owed. False from a failed
   * read until the queue has been empty. A responder learns it only by agreement: the initiator may ask other peers for
   * what differs, and both sides be live meanwhile.
   */
  readonly compared: boolean
  readonly lastSyncedAt: number | null
  readonly queue: SendQueue
  readonly feed: ChangeFeed
  readonly refusals: Refusals
  readonly owed: Owed
  readonly held: HeldEntries
  readonly pendingOut: number
  /** Something could not be exchanged now, so the remaining difference must not be excused. */
  postponed(): void
  /** The peer may lack our state of the entry, and no comparison brings it there: the entry is offered in time. */
  owes(position: Uint8Array): void
  readonly closed: boolean
  /** Entries being read from the replica for the peer. */
  reading: number
  /** Nothing is read for a while because the last read failed. What is queued meanwhile does not keep roots from being compared. */
  readonly resting: boolean
  rest(): void
  start(): void
  range(frame: RangeFrame): void
  rangeAck(frame: RangeAckFrame): void
  root(item: RootItem): void
  /** Pushes or announces a change if entries may travel to the peer. */
  push(transition: Transition): void
  /** The peer said, or showed, that it holds this digest. */
  peerHolds(position: Uint8Array, digest: Uint8Array): void
  /** An entry was received or confirmed, which counts as progress. */
  exchanged(direction: "sent" | "received"): void
  /** Something under way has ended: it may be time to send our root. */
  check(): void
  /** Asks for the peer's root now. */
  probe(): void
  /** Does the same a little later: on a quiet link nothing else brings back an entry that could not be taken. */
  probeSoon(): void
  rootItem(answer: boolean): RootItem
  close(): void
}
