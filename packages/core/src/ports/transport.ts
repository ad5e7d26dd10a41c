import type { Clock } from "./clock.ts"
import type { Random } from "./random.ts"
import type { State } from "./state.ts"

/** How bytes get to a peer, as shown to people. */
export type PathKind = "tab" | "direct" | "relayed" | "memory" | "custom"

/** Small, urgent frames travel on `control`, payload on `bulk`; each lane is ordered, the two are not. */
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
  /** The largest message `send` accepts, in bytes. */
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

export interface PipeReceiver {
  message(lane: Lane, bytes: Uint8Array): void
  /** `buffered(lane)` fell below the transport's low mark. May be called more often than needed. */
  drained(lane: Lane): void
  /** The last call. */
  closed(reason: PipeCloseReason): void
  /** The transport has reason to believe that the remote is gone: ask it. */
  doubted?(): void
  /** The way there changed, such as from relayed to direct. */
  pathChanged?(path: PathKind): void
}

export type PipeCloseReason = "local" | "remote" | "silent" | "failed" | "message-too-large"

/** A way to reach the peers of a room: WebRTC, tabs, memory, or an application's own. */
export interface Transport {
  /** Short name in diagnostics, such as "webrtc". */
  readonly name: string
  /** Whether what `start` returns has an `election`; the room starts such a transport before the others. */
  readonly elects?: boolean
  /** Begins to look for peers; resolves at once, and keeps trying until `stop`. */
  start(host: TransportHost): RunningTransport
}

/** Which of several sessions on one device reaches the outside for all of them. */
export type ElectionRole = "undecided" | "holder" | "follower"

export interface RunningTransport {
  /** Drops back-off and tries again now. */
  reconnect(): void
  /** Closes sockets and connections that were not handed over, and resolves when nothing of it is left. */
  stop(): Promise<void>
  /** Only as the holder does a room run its other transports; as a follower it does so while the holder lacks one of its replicas. */
  readonly election?: State<ElectionRole>
}

/** What a room gives to its transports. */
export interface TransportHost {
  readonly clock: Clock
  readonly random: Random
  /** 16 random bytes for this session of the room: the signaling peer id, fresh at each start. */
  readonly peerId: Uint8Array
  /** Room credentials for finding peers; see security.md "Keys". */
  readonly credentials: TransportCredentials
  /** Hands over a new pipe. The room owns it from here, whether or not it likes it. */
  connected(pipe: Pipe): void
  /** Whether the room wants a further connection: false at `maxLinks`. Asked before dialling or answering. */
  wantsLinks(): boolean
  /** How many links the room takes; for the polite refusal. */
  readonly linkLimit: number
  report(report: TransportReport): void
}

export interface TransportCredentials {
  /** 32 bytes from the room secret; all that a signaling server learns of the room. */
  readonly topic: Uint8Array
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
  | { readonly type: "room-full"; readonly count: number; readonly limit: number }
  | { readonly type: "warning"; readonly code: string; readonly detail: string }

export type TransportErrorCode =
  | "pipe-closed"
  | "message-too-large"
  | "no-webrtc" // Node without an implementation passed in
  | "no-websocket"
  | "insecure-context" // a page without WebCrypto
  | "bad-url"
  | "invalid-option"

export class TransportError extends Error {
  override readonly name = "TransportError"
  readonly code: TransportErrorCode

  constructor(code: TransportErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
