import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import type { Replica, ReplicaLinkStatus, ReplicaReport } from "../ports/replica.ts"
import type { State } from "../ports/state.ts"
import type { Lane } from "../ports/transport.ts"
import type { PresenceSigner } from "./presence-relay.ts"
import type { LinkCounters, PeerRole } from "./room.ts"

/** An authenticated, encrypted link to one peer. The engine speaks the sync protocol over it. */
export interface SecureLink {
  /** Session id of the peer, 32 hex digits, as the handshake proved it. */
  readonly session: string
  /** Device public key of the peer, 64 hex digits. */
  readonly device: string
  /** The role that this room's `authorize` gave the peer. */
  readonly role: PeerRole
  readonly maxMessageBytes: number
  /** Never throws: on a dead link the message is dropped, and `closed` has been called or will be. */
  send(lane: Lane, message: Uint8Array): void
  buffered(lane: Lane): number
  close(reason: string): void
}

/** What a room tells the engine about a link that it added. */
export interface LinkInput {
  message(lane: Lane, bytes: Uint8Array): void
  drained(lane: Lane): void
  /** The peer may be gone: it is asked at once, and its link ends if it does not answer soon. */
  doubted?(): void
  closed(reason: string): void
}

/** What the engine knows of a link, for `room.peers`. */
export interface LinkStatus {
  readonly session: string
  readonly stage: "reconcile" | "live"
  readonly rttMs: number | null
  /** The peer may write here, and said that this session may not write there. */
  readonly refusesEntries: boolean
  readonly replicas: ReadonlyMap<string, ReplicaLinkStatus>
}

/** What a room gives to its engine. Everything random in the protocol comes from `random`, all waits from `clock`. */
export interface SyncEngineOptions {
  readonly clock: Clock
  readonly random: Random
  /** 16 bytes, the same as in the handshake. */
  readonly sessionId: Uint8Array
  /** Public key of this device, 64 hex digits. */
  readonly device: string
  /** 32 bytes; keys every position and digest. */
  readonly digestKey: Uint8Array
  /** 32 bytes naming room and epoch, for stored index blobs. */
  readonly roomTag: Uint8Array
  /** Signs presence for peers that are several links away; without it only linked peers see each other's. */
  readonly signer?: PresenceSigner
  readonly events: SyncEngineEvents
}

/** What an engine tells its room. `session` is a peer's, 32 hex digits. */
export interface SyncEngineEvents {
  /** A linked peer's value or, with `device`, a relayed one that is signed by that device. */
  presence(session: string, value: Uint8Array | null, device?: string): void
  replicaReport(replica: string, report: ReplicaReport): void
  /** The peer broke the protocol: its link is ended. `code` is one of `DecodeErrorCode`. */
  violation(session: string, code: string, detail: string): void
  /** One comparison of a replica with a peer is over: round trips, bytes of both sides, entries that travelled. */
  reconciled(report: {
    readonly session: string
    readonly replica: string
    readonly rounds: number
    readonly bytes: number
    readonly sent: number
    readonly received: number
    readonly elapsedMs: number
  }): void
  /** An entry was not taken, here or there. */
  refused(session: string, replica: string, reason: string, by: "us" | "them"): void
}

/** One per room: runs every session, owns every index, decides what travels where. Sans-IO but for its ports. */
export interface SyncEngine {
  readonly links: State<ReadonlyMap<string, LinkStatus>>
  counters(): ReadonlyMap<string, LinkCounters>
  /** Names of the attached replicas. */
  replicas(): Iterable<string>
  /** Resolves once the replica is attached, or stands by. */
  replicate<Handle>(replica: Replica<Handle>): Promise<Handle>
  /** Takes the link over and says HELLO. A second link to the same session replaces the first. */
  addLink(link: SecureLink): LinkInput
  /** Encoded value of at most 2 KiB, or null; sent now (at most 10/s, the last wins) and to every later link. */
  setPresence(value: Uint8Array | null): void
  /** Resolves when the entries known now are durable on `peers` other devices; rejects with the signal's reason or `RoomError`. */
  synced(options?: {
    readonly peers?: number | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<void>
  /** Says BYE on every link, detaches every replica. Idempotent. */
  close(): Promise<void>
}
