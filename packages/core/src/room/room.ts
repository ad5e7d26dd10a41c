/// <reference lib="esnext.disposable" preserve="true" />
import type { Replica, ReplicaLinkStatus, ReplicaReport } from "../ports/replica.ts"
import type { ConnectionStage, PathKind, TransportReport } from "../ports/transport.ts"
import type { State } from "../ports/state.ts"

/** An open room. Close it once; that closes its transports and links and detaches its replicas. */
export interface Room extends AsyncDisposable {
  /** The invite of this room: whoever has it can join. Keep it out of logs and request URLs. */
  readonly invite: string
  /** This session, 32 hex digits: fresh at every open. */
  readonly session: string
  /** This device, 64 hex digits of its public key: the same at every open. */
  readonly device: string
  readonly peers: State<readonly Peer[]>
  readonly status: State<RoomStatus>
  readonly presence: Presence
  readonly diagnostics: Diagnostics
  /**
   * Shares a replica with every peer of the room. Resolves once it is attached and indexed, connected or not, and at once
   * where it stands by for another tab.
   */
  replicate<Handle>(replica: Replica<Handle>): Promise<Handle>
  /**
   * Resolves when every entry known at the call is durable at `peers` other devices (default 1). Tabs and processes that
   * share this device's key do not count; a tab that reaches the room through another asks that one. Without a signal it
   * rejects with `RoomError` "no-peers" after 30 s in which too few other devices were connected. Rejects with "refused"
   * once all who are connected have answered, and too few have taken everything.
   */
  synced(options?: { readonly peers?: number; readonly signal?: AbortSignal | undefined }): Promise<void>
  /** Drops every back-off and tries all transports now; WebRTC takes it once a second, however often it is called. */
  reconnect(): void
  /** Idempotent. */
  close(): Promise<void>
}

/** A peer that is linked now. It is gone from the list as soon as its link ends, and comes back as another object. */
export interface Peer {
  /** Session id, 32 hex digits. */
  readonly session: string
  /** Device public key, 64 hex digits: authenticated. */
  readonly device: string
  /** The name in its presence, if it has one there. Not authenticated: a label, never an identity. */
  readonly name: string | null
  readonly path: PathKind
  /** What this device lets it do, as `authorize` said. What it lets this device do is its own matter. */
  readonly role: PeerRole
  /** "live" once every replica that both share was compared; "reconcile" before. A linked peer has passed the others. */
  readonly stage: ConnectionStage
  /** Null until measured. */
  readonly rttMs: number | null
  /** Entries not yet known to be durable there, over all replicas. */
  readonly pendingOut: number
  /** Entries asked for or received from there, not yet durable here. */
  readonly pendingIn: number
  /** Entries that it does not take, or that are too large to be sent to it, over all replicas: the diagnostics say why. */
  readonly refused: number
  /** Wall clock; null before the first time both sides were equal. */
  readonly lastSyncedAt: number | null
  /** Per replica name. */
  readonly replicas: ReadonlyMap<string, ReplicaLinkStatus>
}

/** What a member may do towards this device. */
export type PeerRole =
  | "writer" // its entries are taken
  | "reader" // it gets everything; what it sends is refused, and it is told so

/** A peer that passed the handshake, as shown to `isPeerValid` and `authorize`. */
export interface AuthenticatedPeer {
  readonly session: string
  readonly device: string
  readonly path: PathKind
}

/** How the room is doing, for one line of a screen. */
export interface RoomStatus {
  /** "searching" without a peer, whatever the reason: `problem` has it. */
  readonly phase: "searching" | "connected" | "closed"
  /** Connected peers, readers included. */
  readonly peers: number
  /** Entries that the best informed peer, be it another tab, lacks; 0 while there is none, since nobody tells what is missing then. */
  readonly pendingOut: number
  /** Entries asked for or received, not yet durable here: of the peer with the most. */
  readonly pendingIn: number
  /** Peers equal to this device in every shared replica. */
  readonly syncedPeers: number
  /** One line a person can read, such as "no signaling server: retrying in 4 s"; null when all is well. */
  readonly problem: RoomProblem | null
  /** Whether this tab holds the room's connections or reaches them through another tab. */
  readonly tab: "alone" | "holder" | "follower"
}

/** What stands in the way. It goes by itself when it is over; the room keeps trying all the while. */
export interface RoomProblem {
  readonly code:
    | "no-signaling" // no signaling server answers
    | "no-peers" // one answers, and no other device came within 3 s
    | "room-full" // the peers here, or this device, have as many links as they take
    | "connection-failed" // a peer was found and cannot be reached: often a firewall without a TURN server
    | "refused" // a signaling server, or one side of a link, turned the other away
    | "incompatible" // a linked peer holds a replica of that name in another kind or schema
  /** In words for people: names the server, the step or the replica. */
  readonly message: string
}

/** A JSON object of at most 2 KiB, encoded. */
export type PresenceValue = { readonly [key: string]: unknown }

/** Who is here and what they do: lives in memory, and goes when the peer goes. */
export interface Presence {
  /** Merges nothing: replaces this session's value. Null takes it back. Throws `RoomError` "presence-too-large". */
  set(value: PresenceValue | null): void
  /** Changes single fields of this session's value. */
  setField(field: string, value: unknown): void
  local(): PresenceValue | null
  /** The others' values by session id; hostile input, so treat every field as text from a stranger. */
  readonly others: State<ReadonlyMap<string, PresenceEntry>>
}

/** What one other session shows of itself. */
export interface PresenceEntry {
  /** Session id, 32 hex digits. */
  readonly session: string
  /** Null when it was relayed by a peer that vouches for it. */
  readonly device: string | null
  readonly value: PresenceValue
}

/**
 * Something that happened, for logs and for finding out why two devices do not meet; `at` is wall-clock milliseconds, `peer` a
 * session id, or the transport's name for a remote that has proved nothing yet. No secret is in it; a `reason` may name the key
 * of an entry, and a `cause` is what a store or the application threw.
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

/** What happened lately and what happens now; costs little when nobody listens. */
export interface Diagnostics {
  /** The last 512, oldest first. */
  recent(): readonly Diagnostic[]
  subscribe(listener: (diagnostic: Diagnostic) => void): () => void
  /** Totals since the room opened, per session id of connected peers. */
  counters(): ReadonlyMap<string, LinkCounters>
}

/** What went over one link since it was made. Bytes are those of the protocol's messages, before encryption. */
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
  | "bad-invite" // it was cut or changed on its way
  | "invite-too-new" // from a later version of the protocol
  | "insecure-context" // no WebCrypto: the page is neither https nor localhost
  | "missing-crypto" // WebCrypto without Ed25519 or X25519
  | "no-peers" // `synced()` without a signal: too few devices that share the data for 30 s in a row
  | "refused" // `synced()`: all who are connected have answered, and too few took everything
  | "closed" // the room was closed, before the call or while it waited
  | "presence-too-large" // over 2 KiB as JSON
  | "identity-unavailable" // the device key cannot be had; `cause` is the `IdentityError`
  | "invalid-option" // `maxLinks`, or the servers of an invite

/** What `openRoom`, the invite functions and the methods of a room throw or reject with. */
export class RoomError extends Error {
  override readonly name = "RoomError"
  readonly code: RoomErrorCode

  constructor(code: RoomErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
