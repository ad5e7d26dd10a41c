/**
 * What a client and a signaling host say to each other. Byte layouts: docs/protocol/signaling.md.
 *
 * One socket carries up to `maxTopics` topics. The client names each of its memberships by a `channel` (1..65535) of
 * its own choice when it joins, and takes a fresh one for every join on a socket, so that late messages are not
 * mistaken. Channel 0 is the connection as a whole.
 */
export type ClientMessage =
  | {
      readonly type: "join"
      readonly channel: number
      /** 32 bytes; whoever presents it may join. */
      readonly topic: Uint8Array
      /** 16 random bytes that name this session. */
      readonly peer: Uint8Array
      /** The `resume` of an earlier `joined` for the same topic and peer, or null. */
      readonly resume: Uint8Array | null
      /** What the host's authentication requires, such as a JWT; empty if it requires nothing. */
      readonly token: string
    }
  | { readonly type: "leave"; readonly channel: number }
  | {
      readonly type: "signal"
      readonly channel: number
      readonly to: Uint8Array
      /** Opaque to the host. */
      readonly blob: Uint8Array
    }
  /** A fresh token for a membership whose token is about to expire; answered by `renewed`. */
  | { readonly type: "renew"; readonly channel: number; readonly token: string }
  /** Asks for an up-to-date `ice`, such as after a sleep. Needs a membership. */
  | { readonly type: "ice-request" }
  /** Browsers cannot send WebSocket pings. Answered by `pong` with the same nonce. */
  | { readonly type: "ping"; readonly nonce: number }

/** What a host says. A client that receives anything else ends the connection. */
export type HostMessage =
  | {
      readonly type: "joined"
      readonly channel: number
      /** True if the session was resumed within its grace period: the others have noticed nothing. */
      readonly resumed: boolean
      /** 16 secret bytes that resume this session on another socket within `graceMs`. */
      readonly resume: Uint8Array
      readonly graceMs: number
      /** Milliseconds until the token must be renewed; 0 for never. */
      readonly tokenExpiresInMs: number
      readonly limits: SignalingLimits
      readonly ice: IceConfiguration
      /** Everyone else in the topic that this host knows of, 16 bytes each. More may follow as `presence`. */
      readonly peers: readonly Uint8Array[]
    }
  /** The answer to `leave`, and the end of that channel. */
  | { readonly type: "left"; readonly channel: number }
  /** What changed among the others. A `signal` may come from a peer before its `presence` does. */
  | {
      readonly type: "presence"
      readonly channel: number
      readonly joined: readonly Uint8Array[]
      readonly left: readonly Uint8Array[]
    }
  | {
      readonly type: "signal"
      readonly channel: number
      readonly from: Uint8Array
      readonly blob: Uint8Array
    }
  /** A signal was not passed on. */
  | {
      readonly type: "unreachable"
      readonly channel: number
      readonly peer: Uint8Array
      readonly reason: UnreachableReason
    }
  | { readonly type: "renewed"; readonly channel: number; readonly tokenExpiresInMs: number }
  /** Replaces the servers and credentials given before. */
  | { readonly type: "ice"; readonly ice: IceConfiguration }
  | {
      readonly type: "error"
      /** 0: the connection, which then closes. Otherwise the channel of a refused join, or the one that the code is about. */
      readonly channel: number
      readonly code: SignalingErrorCode
      /** Do not try again sooner; 0 if the code says nothing about time. */
      readonly retryMs: number
      /** A sentence for people. */
      readonly detail: string
    }
  /** The host is about to shut down. Data channels stay open; join elsewhere, or here after `retryMs`. */
  | { readonly type: "bye"; readonly retryMs: number }
  | { readonly type: "pong"; readonly nonce: number }

/** What a host takes from one socket before it drops messages, and then the socket. Clients keep to these limits. */
export interface SignalingLimits {
  readonly maxFrameBytes: number
  readonly messagesPerSecond: number
  readonly messageBurst: number
  readonly bytesPerSecond: number
  readonly byteBurst: number
  readonly maxTopics: number
  /** Members that a topic takes, this one included. */
  readonly maxPeers: number
  /** The host pings this often; silence for twice as long means that the socket is dead. */
  readonly heartbeatMs: number
}

/** The STUN and TURN servers that a host hands out. */
export interface IceConfiguration {
  readonly servers: readonly IceServer[]
  /** Milliseconds until the credentials expire; 0 for never. The host sends new ones before. */
  readonly expiresInMs: number
}

/** WebRTC's `RTCIceServer`, with text that may be empty in place of members that may be missing. */
export interface IceServer {
  readonly urls: readonly string[]
  /** Empty, like `credential`, for STUN. */
  readonly username: string
  readonly credential: string
}

/** The number of a code on the wire is its position, counted from one, so new codes go at the end. */
export const signalingErrorCodes = [
  "malformed",
  "unsupported-version",
  "frame-too-large",
  "not-joined", // the channel has no membership
  "channel-in-use", // the channel, or the topic, is joined on this socket already
  "too-many-topics",
  "room-full",
  "peer-id-taken", // by another session that is still there
  "unauthorized", // token missing or invalid
  "token-expired", // ends the membership
  "forbidden", // the host's own rule refused the join, or ended the membership
  "rate-limited", // one message was dropped; on channel 0 the flood went on and the socket closes
  "overloaded", // the process is at its limits: try another host, or later
  "draining", // the host is about to shut down, and takes no joins
  "join-timeout", // a socket joined nothing in time
  "idle", // a socket was without a membership for too long
  "replaced", // this session was resumed on another socket
  "slow-consumer", // the socket does not read what it is sent
  "blocked", // too many failed joins from this address
  "internal", // a fault in the host, or in its own rule
] as const

/** `signalingErrorCodes` says what each means. */
export type SignalingErrorCode = (typeof signalingErrorCodes)[number]

/** Codes on a channel other than 0 that do not mean the end of that membership (or the failure of that join). */
export const passingErrors: ReadonlySet<SignalingErrorCode> = new Set<SignalingErrorCode>([
  "rate-limited",
  "unauthorized", // of a `renew`: the old token still counts until it expires
])

/** Why a signal was not passed on; the number on the wire is the position, counted from one. */
export const unreachableReasons = [
  "gone", // no such peer in the topic
  "away", // its socket broke; it may come back within its grace
  "busy", // it does not read what it is sent
] as const

/** Trying again is useless only after "gone": presence tells when the peer is back. */
export type UnreachableReason = (typeof unreachableReasons)[number]

/** WebSocket close codes of a host besides the standard 1001 (going away), 1009 (too big), 1011 and 1013 (slow). */
export const signalingCloseCodes = {
  malformed: 4400,
  unauthorized: 4401, // nothing joined in time
  idle: 4408,
  flood: 4429,
} as const

/** The WebSocket subprotocol that client and host insist on. */
export const SIGNALING_SUBPROTOCOL = "dunlin.signal.1"
/** The first byte of every frame. */
export const SIGNALING_VERSION = 1
/** Length of a topic. Whoever can present a topic may join it. */
export const TOPIC_BYTES = 32
/** Length of a session's name among the members of a topic. */
export const PEER_ID_BYTES = 16
/** Length of the secret that resumes a session. */
export const RESUME_BYTES = 16
/** The longest frame from a client. */
export const MAX_FRAME_BYTES = 32_768
/** The longest frame from a client without any membership. */
export const MAX_JOIN_FRAME_BYTES = 1024
/** As UTF-8; a join without any membership has to fit `MAX_JOIN_FRAME_BYTES`. */
export const MAX_TOKEN_BYTES = 900
/** Members a topic can have under any configuration. */
export const MAX_ROOM_PEERS = 256
