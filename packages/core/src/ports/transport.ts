import type { Clock } from "./clock.ts"
import type { Random } from "./random.ts"
import type { State } from "./state.ts"

/** How bytes get to a peer, as shown to people. */
export type PathKind = "tab" | "direct" | "relayed" | "memory" | "custom"

/** Small, urgent frames travel on `control`, payload on `bulk`. Each lane is ordered; there is no order between the two. */
export type Lane = "control" | "bulk"

/**
 * One reliable, flow-controlled pipe to a remote, not yet authenticated: the room runs the handshake over it.
 * Message boundaries are kept. Whoever received it through `TransportHost.connected` closes it.
 */
export interface Pipe {
  readonly path: PathKind
  /** Fixed by the transport; "undecided" lets the handshake decide by the smaller first message. */
  readonly role: "offerer" | "answerer" | "undecided"
  /**
   * SHA-256 fingerprints (32 bytes each) of the DTLS certificates as applied, which the handshake binds. Null where the
   * path below is not encrypted end to end: a record layer follows the handshake there.
   */
  readonly binding: { readonly local: Uint8Array; readonly remote: Uint8Array } | null
  /** The largest message `send` accepts, in bytes: at least 16,384, and 16 more where `binding` is null. */
  readonly maxMessageBytes: number
  /** A name for the remote in diagnostics, such as its signaling id. Proves nothing. */
  readonly remote: string
  /** Starts delivery to its one receiver; messages that came before are delivered first, in order. */
  open(receiver: PipeReceiver): void
  /** Queues a message; never blocks. Throws `TransportError` "pipe-closed" or "message-too-large". */
  send(lane: Lane, message: Uint8Array): void
  /** Bytes accepted by `send` and not yet given to the network. */
  buffered(lane: Lane): number
  /** Idempotent; what is queued may be lost. */
  close(): void
}

/** Who reads a pipe. `Pipe.open` takes one, once. */
export interface PipeReceiver {
  message(lane: Lane, bytes: Uint8Array): void
  /** `buffered(lane)` fell below the transport's low mark. May be called more often than needed. */
  drained(lane: Lane): void
  /** The last call. */
  closed(reason: PipeCloseReason): void
  /** The transport has reason to believe that the remote is gone: check whether it answers. */
  doubted?(): void
  /** The path changed, such as from relayed to direct. */
  pathChanged?(path: PathKind): void
}

/** Why a pipe ended. */
export type PipeCloseReason =
  /** `close` was called here. */
  | "local"
  /** The other side closed it. */
  | "remote"
  /** Nothing was heard for too long. */
  | "silent"
  /** The connection broke, or more was queued in it than it may hold. */
  | "failed"

/** A way to reach the peers of a room: WebRTC, tabs, memory, or an application's own. */
export interface Transport {
  /** Short name in diagnostics, such as "webrtc". */
  readonly name: string
  /** Whether what `start` returns has an `election`. A room has at most one such transport, and starts it before the others. */
  readonly elects?: boolean
  /** Begins to look for peers; returns at once, and keeps trying until `stop`. */
  start(host: TransportHost): RunningTransport
}

/** Of several sessions on one device, the holder connects to the outside for all of them. */
export type ElectionRole = "undecided" | "holder" | "follower"

/** A transport at work in one room. */
export interface RunningTransport {
  /** Drops back-off and tries again now. */
  reconnect(): void
  /**
   * Closes sockets and connections that were not handed over, and resolves when nothing is left of them. After five seconds the
   * room goes on without it: it closes, or starts the transport again if it is the holder again.
   */
  stop(): Promise<void>
  /** A room runs its other transports if it is the holder, or while it is a follower and the holder lacks one of its replicas. */
  readonly election?: State<ElectionRole>
}

/** What a room gives to its transports. */
export interface TransportHost {
  readonly clock: Clock
  readonly random: Random
  /**
   * 16 random bytes, fresh at each start: the signaling peer id. Bytes 8 to 14 are the same for all transports of a session
   * of the room, so that none of them calls another.
   */
  readonly peerId: Uint8Array
  /** What the transport needs to find peers; the room's secret is not part of it. */
  readonly credentials: TransportCredentials
  /** Hands over a new pipe. From then on the room owns it, even if it does not keep it. */
  connected(pipe: Pipe): void
  /** Whether the room wants a further connection: false at `maxLinks`. Asked before dialling or answering. */
  wantsLinks(): boolean
  /**
   * True once a peer that may write here has said that this session may not write there. What a reader passes on is of no
   * use to others, so in a large room it attaches to them instead of carrying the mesh.
   */
  readonly isReader: State<boolean>
  /** Whether the room has transports that do not elect. A tab without any leaves the connections to one that has some. */
  readonly reaches: boolean
  /** How many links the room takes, for telling peers that it refuses. */
  readonly linkLimit: number
  report(report: TransportReport): void
}

/** Derived from the invite. PROTOCOL.md, "Keys of a room", says how. */
export interface TransportCredentials {
  /** 32 bytes from the room secret; all that a signaling server learns of the room. */
  readonly topic: Uint8Array
  /** Counts the secrets that this room has had; members of different epochs do not meet. */
  readonly epoch: number
  /** AES-GCM key that seals signaling, not extractable. */
  readonly signalKey: CryptoKey
  /** A name for things shared by one profile and room (locks, broadcast channels): hex, reveals nothing. */
  readonly roomTagHex: string
  /** Signaling servers named by the invite; used when the application named none. */
  readonly servers: readonly string[]
}

/** Steps of a connection, in the order in which they happen; diagnostics name the one that failed. */
export type ConnectionStage = "signaling" | "ice" | "dtls" | "handshake" | "reconcile" | "live"

/** What a transport has to tell: it ends up in `room.diagnostics`, and as the problem in `room.status`. */
export type TransportReport =
  | {
      readonly type: "signaling"
      readonly server: string
      readonly state: "connecting" | "joined" | "unreachable" | "refused" | "draining"
      /** In words, such as "no answer within 3 s". */
      readonly detail?: string
      readonly retryInMs?: number
    }
  | {
      readonly type: "stage"
      readonly remote: string
      readonly stage: ConnectionStage
      readonly outcome: "started" | "passed" | "failed"
      readonly elapsedMs: number
      readonly detail?: string
    }
  /** A peer was reached, but already had `count` links of at most `limit`. */
  | { readonly type: "room-full"; readonly count: number; readonly limit: number }
  /** Nobody is left of those who were there or linked: what went wrong with them stands in the way no more. */
  | { readonly type: "alone" }
  | { readonly type: "warning"; readonly code: string; readonly detail: string }

/** Match this, not the message. */
export type TransportErrorCode =
  /** A message was given to a pipe that has ended. */
  | "pipe-closed"
  /** A message is longer than the pipe's `maxMessageBytes`. */
  | "message-too-large"
  /** Node has no WebRTC of its own, and no implementation was passed in. */
  | "no-webrtc"
  /** This Node has no WebSocket of its own, the package `ws` is not installed, and no implementation was passed in. */
  | "no-websocket"
  /** A signaling server is not a ws: or wss: URL. */
  | "bad-url"
  /** An option is out of its bounds. */
  | "invalid-option"

/** Thrown where a transport is made, such as by `webrtc()`, and by `Pipe.send`; never for what a network does. */
export class TransportError extends Error {
  override readonly name = "TransportError"
  readonly code: TransportErrorCode

  constructor(code: TransportErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** What every `Pipe.send` begins with. */
export function assertSendable(
  { length }: Uint8Array,
  maxMessageBytes: number,
  closedBy: PipeCloseReason | null,
): void {
  if (closedBy !== null) throw new TransportError("pipe-closed", "This pipe is closed.")
  if (length > maxMessageBytes) {
    throw new TransportError("message-too-large", `${length} bytes; this pipe takes ${maxMessageBytes}.`)
  }
}
