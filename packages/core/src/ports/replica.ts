import type { State } from "./state.ts"

/** Which way entries of a replica travel, seen from this device. The peer enforces the same. */
export type Direction = "both" | "send-only" | "receive-only"

/** What kind of entries a replica holds; travels on the wire. 0–127 are kept for Dunlin, 128–255 free for others. */
export type ReplicaKind = number

/** JSON documents of `createMemoryReplica`, in the register of docs/protocol/register.md. */
export const KIND_MEMORY: ReplicaKind = 0
/** Documents of an RxDB collection, in the same register. Replicas of different kinds never exchange anything. */
export const KIND_RXDB: ReplicaKind = 1
/** Loro documents: docs/protocol/loro.md. */
export const KIND_LORO: ReplicaKind = 2

/**
 * Something that can be synchronised: it owns entries `key → state`, keeps them durably, and their states form a
 * join-semilattice. `join` must be commutative, associative and idempotent; `testing/replica-contract` checks it.
 *
 * @typeParam Handle what `room.replicate()` gives to the application.
 */
export interface Replica<Handle = unknown> {
  /** Pairs replicas across peers. At most 128 UTF-8 bytes. */
  readonly name: string
  readonly kind: ReplicaKind
  /** Replicas with different tags exchange nothing ("incompatible"). At most 128 UTF-8 bytes. */
  readonly schemaTag: string
  readonly direction: Direction
  /**
   * Opens the replica for one room. Rejects with `ReplicaError` "replica-in-use" when another room has it.
   * Whoever attached it detaches it.
   */
  attach(host: ReplicaHost, options?: AttachOptions<Handle>): Promise<AttachedReplica<Handle>>
}

/** How a replica attaches. */
export interface AttachOptions<Handle = unknown> {
  readonly signal?: AbortSignal | undefined
  /**
   * A replica that has to wait for its turn, such as for another tab, may call this once: the application gets the handle at
   * once, and `attach` resolves with the same handle when the turn comes. If the replica is closed meanwhile, it calls
   * `released`, and `attach` rejects.
   */
  standBy?(standing: StandingReplica<Handle>): void
}

/** A replica that waits to be attached while another process replicates what it stores. */
export interface StandingReplica<Handle = unknown> {
  readonly handle: Handle
  /**
   * `room.synced()` calls this until `attach` has resolved, and for good if it rejects. Resolves when other devices hold what
   * was stored here before the call, by the same rules. A call that is still open when the replica's turn comes asks the
   * host, which waits until the replica is attached.
   */
  synced(options: {
    readonly peers?: number | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<void>
}

/** What a room gives to a replica that is attached to it. */
export interface ReplicaHost {
  /** 32 bytes that name the room and its epoch: an index blob stored under another tag is stale. */
  readonly roomTag: Uint8Array
  /** This device in the room: 64 hex digits of its public key. */
  readonly device: string
  /**
   * Reports that entries changed by anything but `join`: a local write, another tab, a catch-up. Call it once
   * the change is durable here, in the order of the changes of each key. (Call it earlier only if a change lost in a crash
   * cannot be mistaken for another: a Loro document takes a fresh peer id at every start.)
   */
  changed(changes: readonly EntryChange[]): void
  /** Tells the application what happened, without failing anything. */
  report(report: ReplicaReport): void
  /** The replica closed by itself, such as with its collection: the room withdraws it and calls `detach`. */
  released(): void
  /**
   * Resolves when `peers` other devices (default 1) hold the present state of `keys` (default: all) durably.
   * Same rules as `room.synced()`: it rejects when they refuse it. With `session`, a session id, only that peer counts; if it
   * accepts no entries, there is nothing to wait for. Called while the replica attaches, it waits for that first.
   */
  synced(options?: {
    readonly keys?: readonly string[]
    readonly peers?: number | undefined
    readonly session?: string
    readonly signal?: AbortSignal | undefined
  }): Promise<void>
  /** How far each connected peer is with this replica, by session id. */
  readonly links: State<ReadonlyMap<string, ReplicaLinkStatus>>
}

/** How far one link is with one replica; a new link to the same peer begins anew. */
export type ReplicaLinkPhase =
  /** The peer has not (yet) offered this replica. */
  | "waiting"
  /** The peer's replica of this name has another kind or schema tag. */
  | "incompatible"
  /** The two sides find out what differs. */
  | "reconciling"
  /** The two sides have compared: changes are pushed from now on. */
  | "live"

/** The state of one replica on one link. Replaced as a whole at each change, never modified. */
export interface ReplicaLinkStatus {
  /** Session id, 32 hex digits. */
  readonly peer: string
  /** Device public key, 64 hex digits. */
  readonly device: string
  readonly phase: ReplicaLinkPhase
  /** In words for people, if the phase is "incompatible". */
  readonly reason?: string
  /** Entries not yet known to be durable at the peer. */
  readonly pendingOut: number
  /** Entries asked for or received, not yet durable here. */
  readonly pendingIn: number
  /**
   * Entries that stay on this device until they change: the peer does not accept them, or they are too large to be sent. The
   * diagnostics say why.
   */
  readonly refused: number
  /** When both sides were last equal, in wall-clock milliseconds. */
  readonly lastSyncedAt?: number
}

/** One entry that changed, as a replica tells its room. */
export interface EntryChange {
  readonly key: string
  /** 32 bytes over the new state; null when the entry no longer exists (only a purge does that). */
  readonly stateHash: Uint8Array | null
  /** State hash before the change; null when there was no entry. */
  readonly before: Uint8Array | null
  /** What a peer that holds `before` needs; do not modify it later. If left out or over 12 KiB, the room reads it when wanted. */
  readonly delta?: Uint8Array
}

/** What a replica reports before it goes on; `reason` is in words, `cause` what was thrown. */
export type ReplicaReport =
  /** This entry was not taken in, or cannot be read here. Others go on, and so does this one once a usable state arrives. */
  | { readonly type: "quarantined"; readonly key: string; readonly reason: string; readonly cause?: unknown }
  /** The application's conflict handler threw, took too long or returned no document: the later write is shown instead. */
  | {
      readonly type: "handler-failed"
      readonly key: string
      readonly reason: string
      readonly cause?: unknown
    }
  | { readonly type: "warning"; readonly reason: string; readonly cause?: unknown }
  /** Another tab replicates what is stored here; this one takes over when that tab goes. */
  | { readonly type: "standing-by"; readonly reason: string; readonly cause?: unknown }

/** Some of the entries of a replica, in any order; the replica chooses how many make a page. */
export interface ScanPage {
  readonly entries: readonly { readonly key: string; readonly stateHash: Uint8Array | null }[]
  /** Opaque position after this page (≤ 64 KiB), stored with the index so that a restart replays only what is newer. */
  readonly cursor: Uint8Array
}

/** A peer as a replica sees it. */
export interface ReplicaPeer {
  /** Session id, 32 hex digits. */
  readonly session: string
  /** Device public key, 64 hex digits. */
  readonly device: string
}

/** A peer, or this room, wants what it lacks of one entry. */
export interface ReadRequest {
  readonly key: string
  /** The reader's summary; empty when it holds nothing. Hostile: the replica decodes it with bounds. */
  readonly summary: Uint8Array
}

/** What a reader needs of one entry. The room keeps a delta until it is sent: do not modify it later. */
export type ReadOutcome =
  | { readonly type: "delta"; readonly stateHash: Uint8Array; readonly delta: Uint8Array }
  | { readonly type: "none" } // no such entry, or nothing that may be shared
  | { readonly type: "refused"; readonly reason: string } // the summary is invalid, or older than what is kept

/** What a peer sent of one entry. */
export interface Incoming {
  readonly key: string
  /** From a peer: hostile until decoded. */
  readonly delta: Uint8Array
}

/** What became of one received delta. */
export type JoinOutcome =
  | {
      readonly type: "joined"
      /** Whether the durable state here changed; only then is it passed on. */
      readonly changed: boolean
      /** State hash before, null when there was no entry. */
      readonly before: Uint8Array | null
      readonly stateHash: Uint8Array
      /** The sender's summary when the sender lacks something held here (it is then answered), else null. */
      readonly senderLacks: Uint8Array | null
    }
  /** The delta was made for another base: nothing changed, and the entry is asked for with our own summary. */
  | { readonly type: "incomplete" }
  /** The entry can be joined once these blobs are here. Nothing changed. */
  | { readonly type: "missing-blobs"; readonly blobs: readonly BlobRef[] }
  /** Not acceptable here: the pair (key, digest) is remembered and not asked for again. Nothing changed. */
  | { readonly type: "refused"; readonly reason: string }

/** Content-addressed bytes beside the entries, such as an attachment, moved in 64 KiB chunks. */
export interface BlobRef {
  /** SHA-256 of the content, 32 bytes. */
  readonly digest: Uint8Array
  /** In bytes. */
  readonly size: number
}

/**
 * What a room calls on a replica that is attached to it. A call that rejects fails the entries it was about, which are
 * tried again. The only error code that the room matches is "stale-cursor" from `scan`.
 */
export interface AttachedReplica<Handle = unknown> {
  readonly handle: Handle
  /**
   * Entries whose state changed after `since`; all entries if it is null. Pages may repeat entries; the last state
   * wins. Throws `ReplicaError` "stale-cursor" if `since` is not from this store: the room then scans all.
   */
  scan(
    since: Uint8Array | null,
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncIterable<ScanPage>
  /** The index blob stored last, or null. It is a cache: losing it costs only time. */
  loadIndex(): Promise<Uint8Array | null>
  saveIndex(blob: Uint8Array): Promise<void>
  /** One summary per key, in order; empty for an unknown key. */
  summarize(keys: readonly string[]): Promise<readonly Uint8Array[]>
  /**
   * One outcome per request, in order. May answer fewer (at least one) if all of them would take more than about 1 MiB; the
   * room asks again for the rest. If it rejects, the room asks again after two seconds, for one entry at first; what is
   * wrong with a single entry should be an outcome.
   */
  read(requests: readonly ReadRequest[], peer: ReplicaPeer): Promise<readonly ReadOutcome[]>
  /**
   * Joins a batch; one outcome per entry, in order. Resolves when every changed state is durable. Entries of one
   * batch may share a key and are then joined in order. Never reports these changes through `changed`.
   */
  join(entries: readonly Incoming[], peer: ReplicaPeer): Promise<readonly JoinOutcome[]>
  /**
   * Resolves when every write that was complete here before the call has been reported through `changed`; `synced()` waits
   * for it. Left out by replicas that report a write before they resolve it. Rejects when such a write cannot be kept.
   */
  flush?(): Promise<void>
  /**
   * Throws, such as a `RoomError` "refused", if this device has entries that it cannot share as they are; `synced()` calls
   * this once the peers hold everything else, and rejects with what it throws. Left out by replicas that can share whatever
   * they hold.
   */
  assertShared?(wait: {
    /** The entries that were asked for; all if left out. */
    readonly keys?: readonly string[]
    /** How many devices were to hold them, 1 if left out. With 0 nothing need be shared. */
    readonly peers?: number | undefined
  }): void
  /** How many times entries that `assertShared` complained of became ones that can be shared. Goes with `assertShared`. */
  unblocked?(): number
  /** Present when entries of this replica refer to blobs. */
  readonly blobs?: BlobStore
  /**
   * Stops reporting, waits for what is under way, and lets another room attach the replica. Idempotent. After 30 seconds the room
   * goes on without it, and reports a warning.
   */
  detach(): Promise<void>
}

/** Durable chunks of blobs, verified against the digest when the last one is in. */
export interface BlobStore {
  /** Indices of 64 KiB chunks not held yet; empty when the blob is complete. `key` names the entry that refers to it. */
  missing(key: string, blob: BlobRef): Promise<readonly number[]>
  /** The chunk, or null when it is not held. */
  read(key: string, digest: Uint8Array, index: number): Promise<Uint8Array | null>
  /**
   * Resolves when durable. A completed blob with a wrong digest is dropped: resolves "corrupt". A chunk of a blob that is
   * already complete changes nothing: two peers may have been asked for it. Calls for one blob may overlap; handle them in
   * turn, or a wrong chunk from one peer lands among the right ones from another that have just been verified.
   */
  write(
    key: string,
    blob: BlobRef,
    index: number,
    bytes: Uint8Array,
  ): Promise<"stored" | "complete" | "corrupt">
}

/** Match this, not the message. */
export type ReplicaErrorCode =
  /** The replica is attached to another room. */
  | "replica-in-use"
  /** The replica was closed, with its collection or while it was being attached. Make another one. */
  | "replica-closed"
  /** A replica of that name is in this room. */
  | "duplicate-name"
  /** From `scan`, for the room, which then scans everything. An application never sees it. */
  | "stale-cursor"
  /** A name, a schema tag or an option of the replica is out of its bounds. */
  | "invalid-option"
  /** The data is of an earlier schema: migrate it first. */
  | "not-migrated"
  /** The storage of the replica failed to read or write; `cause` says why. */
  | "storage-failed"

/** What `room.replicate()` and the handle it gives reject with. */
export class ReplicaError extends Error {
  override readonly name = "ReplicaError"
  readonly code: ReplicaErrorCode

  constructor(code: ReplicaErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
