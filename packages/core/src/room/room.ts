/// <reference lib="esnext.disposable" preserve="true" />
import type { Replica, ReplicaLinkStatus, ReplicaReport } from "../ports/replica.ts"
import type { ConnectionStage, PathKind, TransportReport } from "../ports/transport.ts"
import type { State } from "../ports/state.ts"

/** An open room. Closing it closes its transports and links, and detaches its replicas. */
export interface Room extends AsyncDisposable {
  /** The invite of this room: whoever has it can join. Keep it out of logs and request URLs. */
  readonly invite: string
  /** Id of this session, 32 hex digits: fresh at every open. */
  readonly session: string
  /** Public key of this device, 64 hex digits: with the same identity, the same at every open. */
  readonly device: string
  readonly peers: State<readonly Peer[]>
  readonly status: State<RoomStatus>
  readonly presence: Presence
  readonly diagnostics: Diagnostics
  /**
   * Shares a replica with every peer of the room. Resolves with its handle once the replica is attached and indexed,
   * whether or not a peer is connected; resolves at once if the replica stands by for another tab.
   */
  replicate<Handle>(replica: Replica<Handle>): Promise<Handle>
  /**
   * Resolves when every entry known at the time of the call is durable on `peers` other devices (default 1). Tabs and
   * processes that share this device's key do not count; a tab that reaches the room through another tab counts its devices, too.
   * Without a signal it rejects with `RoomError` "no-peers" after 30 s in a row with too few other devices connected.
   * Rejects with "refused" once every connected device has answered and too few of them took everything, or when everything
   * else is held and this device has entries that it cannot share.
   */
  synced(options?: {
    readonly peers?: number | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<void>
  /** Drops every back-off and tries all transports now; WebRTC takes it once a second, however often it is called. */
  reconnect(): void
  /**
   * Idempotent. Waits for replicas to detach and for transports to stop, but for a replica that hangs no longer than 30 seconds,
   * and for a transport five.
   */
  close(): Promise<void>
}

/** A peer that is linked now. It leaves the list as soon as its link ends, and comes back as another object. */
export interface Peer {
  /** Session id, 32 hex digits. */
  readonly session: string
  /** Device public key, 64 hex digits: authenticated. */
  readonly device: string
  /** The `name` in its presence value, if there is one. Not authenticated: a label, never an identity. */
  readonly name: string | null
  readonly path: PathKind
  /** What this device lets the peer do, as `authorize` decided. The peer decides separately what this device may do there. */
  readonly role: PeerRole
  /** "reconcile" until every replica that both share has been compared, then "live". A linked peer has passed the earlier stages. */
  readonly stage: ConnectionStage
  /** Null until measured. */
  readonly rttMs: number | null
  /** Entries not yet known to be durable there, over all replicas. */
  readonly pendingOut: number
  /** Entries requested or received from this peer and not yet durable here. */
  readonly pendingIn: number
  /** Entries that the peer refuses, or that are too large to be sent to it, over all replicas; the diagnostics say why. */
  readonly refused: number
  /** Wall-clock milliseconds of the last moment both sides were equal; null before the first. */
  readonly lastSyncedAt: number | null
  /** By replica name. */
  readonly replicas: ReadonlyMap<string, ReplicaLinkStatus>
}

/** What a peer may do on this device. */
export type PeerRole =
  /** Its entries are accepted. */
  | "writer"
  /** It receives everything. Entries that it sends are refused, and it is told so. */
  | "reader"

/** A peer that passed the handshake, as shown to `isPeerValid` and `authorize`. */
export interface AuthenticatedPeer {
  readonly session: string
  readonly device: string
  readonly path: PathKind
}

/** The state of the room, for a status line on a screen. */
export interface RoomStatus {
  /** "searching" while no peer is connected, whatever the reason; `problem` says which. */
  readonly phase: "searching" | "connected" | "closed"
  /** Connected peers, readers included. */
  readonly peers: number
  /** Entries missing at the peer that lacks the fewest, which may be another tab; 0 without a peer, since nobody can tell then. */
  readonly pendingOut: number
  /** Entries requested or received and not yet durable here: the highest count of any one peer. */
  readonly pendingIn: number
  /** Peers known to equal this device in every replica of this room. */
  readonly syncedPeers: number
  /** What stands in the way, with one line for people such as "no signaling server: retrying in 4 s"; null when all is well. */
  readonly problem: RoomProblem | null
  /** Whether this tab holds the room's connections or reaches them through another tab. */
  readonly tab: "alone" | "holder" | "follower"
}

/** What stands in the way. The room keeps trying, and clears the problem once it is over. */
export interface RoomProblem {
  readonly code:
    /** No signaling server answers. */
    | "no-signaling"
    /** A server answers, but no other device came within 3 s. */
    | "no-peers"
    /** The peers found, or this device, have as many links as they take. */
    | "room-full"
    /** A peer was found but cannot be reached: often a firewall without a TURN server. */
    | "connection-failed"
    /** A signaling server turned this device away, or one side of a link turned the other away. */
    | "refused"
    /** A linked peer has a replica of the same name with another kind or schema. */
    | "incompatible"
  /** One line for people: names the server, the step or the replica. */
  readonly message: string
}

/** A JSON object of at most 2 KiB once encoded. */
export type PresenceValue = { readonly [key: string]: unknown }

/** Who is here and what they are doing. Held in memory only; a peer's value goes when the peer goes. */
export interface Presence {
  /** Replaces this session's value and merges nothing; null withdraws it. Throws `RoomError` "presence-too-large". */
  set(value: PresenceValue | null): void
  /** Changes one field of this session's value. */
  setField(field: string, value: unknown): void
  local(): PresenceValue | null
  /** The other sessions' values by session id. Hostile input: treat every field as text from a stranger. */
  readonly others: State<ReadonlyMap<string, PresenceEntry>>
}

/** What one other session shows of itself. */
export interface PresenceEntry {
  /** Session id, 32 hex digits. */
  readonly session: string
  /** Public key of the device, 64 hex digits: the linked peer's, or that of the device that signed a relayed value. Null when unknown. */
  readonly device: string | null
  readonly value: PresenceValue
}

/**
 * An event, for logs and for finding out why two devices do not meet. `at` is wall-clock milliseconds; `peer` is a session
 * id, or the transport's name for a remote that has not proved anything yet. Contains no secrets, but a `reason` may name
 * the key of an entry, and a `cause` is whatever a store or the application threw.
 */
export type Diagnostic = { readonly at: number } & (
  | { readonly type: "transport"; readonly transport: string; readonly report: TransportReport }
  | { readonly type: "replica"; readonly replica: string; readonly report: ReplicaReport }
  | {
      readonly type: "stage"
      readonly peer: string
      readonly stage: ConnectionStage
      readonly outcome: "started" | "passed" | "failed"
      readonly elapsedMs: number
      readonly detail?: string
    }
  | { readonly type: "link-opened"; readonly peer: string; readonly device: string; readonly path: PathKind }
  | { readonly type: "link-closed"; readonly peer: string; readonly reason: string }
  | { readonly type: "violation"; readonly peer: string; readonly code: string; readonly detail: string }
  | {
      readonly type: "reconciled"
      readonly peer: string
      readonly replica: string
      readonly rounds: number
      readonly bytes: number
      readonly sent: number
      readonly received: number
      readonly elapsedMs: number
    }
  | {
      readonly type: "refused"
      readonly peer: string
      readonly replica: string
      readonly reason: string
      readonly by: "us" | "them"
    }
  | { readonly type: "warning"; readonly code: string; readonly detail: string }
)

/** Recent events, and new ones as they happen; costs little when nobody listens. */
export interface Diagnostics {
  /** The last 512, oldest first. */
  recent(): readonly Diagnostic[]
  subscribe(listener: (diagnostic: Diagnostic) => void): () => void
  /** Totals of each open link, by the session id of its peer. */
  counters(): ReadonlyMap<string, LinkCounters>
}

/** What has passed over one link since it opened. Bytes count the protocol's messages before encryption. */
export interface LinkCounters {
  readonly bytesIn: number
  readonly bytesOut: number
  readonly framesIn: number
  readonly framesOut: number
  readonly entriesIn: number
  readonly entriesOut: number
}

/** Match this, not the message. */
export type RoomErrorCode =
  /** The invite was truncated or altered on its way. */
  | "bad-invite"
  /** The invite is from a later version of the protocol. */
  | "invite-too-new"
  /** There is no WebCrypto: the page is neither https nor localhost. */
  | "insecure-context"
  /** WebCrypto has no Ed25519 or no X25519. */
  | "missing-crypto"
  /** `synced()` without a signal: too few connected devices shared the data for 30 s in a row. */
  | "no-peers"
  /** `synced()`: every connected device has answered, and too few took everything; or some of it cannot be shared. */
  | "refused"
  /** The room was closed, before the call or while it waited. */
  | "closed"
  /** A presence value has more than 2 KiB as JSON. */
  | "presence-too-large"
  /** The device key could not be loaded; `cause` says why, such as an `IdentityError`. */
  | "identity-unavailable"
  /** `maxLinks`, `peers` of `synced()`, or the servers of an invite are out of their bounds. */
  | "invalid-option"

/** What `openRoom`, the invite functions and the methods of a room throw or reject with. */
export class RoomError extends Error {
  override readonly name = "RoomError"
  readonly code: RoomErrorCode

  constructor(code: RoomErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
