import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { ReplicaLinkStatus } from "../ports/replica.ts"
import type { PresenceRelayFrame, PushFrame } from "../protocol/frame.ts"
import type { LargeEntryGate } from "../protocol/inbox.ts"
import type { ReconcileReport } from "./reconcile-runner.ts"
import type { LinkCounters } from "./room.ts"
import type { LinkTarget, RoomReplica } from "./room-replica.ts"
import type { Transition } from "./shared-replica.ts"
import type { LinkInput, LinkStatus, SecureLink } from "./sync-engine-api.ts"
import type { SyncedQuestions } from "./synced-questions.ts"
import type { SyncedQuery } from "./synced-waits.ts"

export interface LinkSessionOptions {
  readonly link: SecureLink
  /** Our session id. */
  readonly sessionId: Uint8Array
  /** Our device key, 64 hex digits. */
  readonly device: string
  readonly clock: Clock
  readonly random: Random
  readonly gate: LargeEntryGate
  readonly replicas: () => Iterable<RoomReplica>
  readonly linkedSessions: () => readonly string[]
  readonly presence: () => Uint8Array | null
  readonly events: LinkSessionEvents
}

export interface LinkSessionEvents {
  /** A join changed an entry, which others may want. `push` is the peer's own push if it led exactly to this state. */
  joined(replica: RoomReplica, transition: Transition, push: PushFrame | null): void
  wantedChanged(): void
  /** The peer pushed what was here already. */
  duplicate(target: LinkTarget): void
  presence(value: Uint8Array | null): void
  presenceRelayed(frame: PresenceRelayFrame): void
  /** The peer said to whom it is linked. */
  linksChanged(): void
  statusChanged(): void
  /** A change of status that people wait for. */
  phaseChanged(): void
  reconciled(replica: RoomReplica, report: ReconcileReport): void
  refused(replica: RoomReplica, reason: string, by: "us" | "them"): void
  /** Another session of this device asks on which other devices what is held here is durable. */
  syncedWanted(query: SyncedQuery): void
  violation(code: string, detail: string): void
  closed(reason: string): void
}

/** The sync conversation with one peer: frames in and out, for all replicas of the room. */
export interface LinkSession extends LinkInput {
  readonly session: string
  readonly link: SecureLink
  /** When an entry, or a piece of one, last arrived other than by a push; monotonic milliseconds. */
  payloadAt(): number
  /** By name; only replicas that both sides share. */
  readonly targets: ReadonlyMap<string, LinkTarget>
  readonly questions: SyncedQuestions
  /** The sessions that the peer says it is linked to. */
  linkedTo(): ReadonlySet<string>
  /** Whether the peer has no link to some of these sessions, other than itself. */
  lacksAny(sessions: Iterable<string>): boolean
  added(replica: RoomReplica): void
  removed(replica: RoomReplica): void
  sendLinks(): void
  sendPresence(value: Uint8Array | null): void
  /** Passes on the presence of another peer, unless this one is not keeping up. */
  relayPresence(frame: PresenceRelayFrame): void
  /** So much waits to be asked for that nothing more should be. */
  isFull(): boolean
  /** Asks for entries; takes the list over. */
  want(replica: RoomReplica, positions: Uint8Array[]): void
  flush(): void
  /** Sends entries as long as there is room for them, and all frames. */
  pump(): void
  retryLarge(): void
  status(): LinkStatus
  statusOf(replica: RoomReplica): ReplicaLinkStatus
  counters(): LinkCounters
  bye(reason: string): void
}
