import type { Clock, Millis } from "@dunlin/core"
import {
  type ClientMessage,
  DecodeError,
  decodeClientMessage,
  signalingCloseCodes,
} from "@dunlin/core/signaling"
import { keyOfBytes } from "./binary-key.ts"
import type { Connection } from "./connection.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import type { IceDesk } from "./ice-desk.ts"
import type { JoinDesk } from "./join-desk.ts"
import type { SessionReplies } from "./session-replies.ts"
import type { Member, TopicDirectory } from "./topic-directory.ts"

type JoinMessage = Extract<ClientMessage, { type: "join" }>
type SignalMessage = Extract<ClientMessage, { type: "signal" }>

/** Passes a signal to a member on another host of the cluster. False when that is not possible now. */
export type RemoteForward = (target: Member, from: string, blob: Uint8Array) => boolean

/** Handles what sockets send, and their end. */
export interface SignalingSessions {
  frame(connection: Connection, bytes: Uint8Array, isBinary: boolean): void
  /** A WebSocket ping, charged like a message. */
  ping(connection: Connection, payload: Uint8Array): void
  /** The answer to a ping of ours, or an unsolicited pong. */
  pong(connection: Connection, payload: Uint8Array): void
  /** The socket broke the WebSocket protocol. */
  violated(connection: Connection): void
  /** The socket is gone. */
  closed(connection: Connection, closeCode: number): void
  /** The socket has not joined in time. */
  missedJoin(connection: Connection): void
}

export function createSignalingSessions(deps: {
  readonly settings: HostSettings
  readonly clock: Clock
  readonly directory: TopicDirectory
  readonly desk: JoinDesk
  readonly replies: SessionReplies
  readonly iceDesk: IceDesk
  readonly counters: HostCounters
  readonly forwardRemote: RemoteForward
}): SignalingSessions {
  const { settings, clock, directory, desk, replies, counters } = deps

  const notJoined = (connection: Connection, channel: number): void => {
    count(counters.drops, "not-joined")
    replies.complain(connection, channel, "not-joined", "this channel has no membership")
  }

  const signal = (connection: Connection, { channel, to, blob }: SignalMessage, now: Millis): void => {
    const member = connection.memberships.get(channel)?.member
    if (member === undefined) {
      notJoined(connection, channel)
      return
    }
    if (!directory.drawMessage(member.topic, now)) {
      count(counters.rateLimited, "room")
      replies.complain(connection, channel, "rate-limited", "the room as a whole sends too much", 1000)
      return
    }
    const peer = keyOfBytes(to)
    const target = member.topic.members.get(peer)
    if (target === undefined || target.place.type === "away") {
      connection.unreachable(channel, peer, target === undefined ? "gone" : "away")
      return
    }
    const delivered =
      target.place.type === "remote"
        ? deps.forwardRemote(target, member.peer, blob)
        : target.place.outlet.signal(target.place.channel, member.peer, blob)
    if (delivered) counters.forwards += 1
    else connection.unreachable(channel, peer, "busy")
  }

  const handle = (connection: Connection, message: ClientMessage, now: Millis): void => {
    switch (message.type) {
      case "signal":
        signal(connection, message, now)
        return
      case "join":
        desk.join(connection, ownBytes(message))
        return
      case "leave":
        desk.leave(connection, message.channel)
        return
      case "renew":
        desk.renew(connection, message)
        return
      case "ice-request":
        deps.iceDesk.request(connection, now)
        return
      case "ping":
        connection.tell({ type: "pong", nonce: message.nonce })
    }
  }

  /** The message, or null when the socket was ended because of what it sent. */
  const decode = (connection: Connection, bytes: Uint8Array, isBinary: boolean): ClientMessage | null => {
    const maxBytes = connection.memberships.size > 0 ? settings.maxFrameBytes : settings.maxJoinFrameBytes
    if (bytes.length > maxBytes) {
      replies.endMalformed(connection, "frame-too-large", `at most ${maxBytes} bytes are taken here`)
      return null
    }
    if (!isBinary) {
      replies.endMalformed(connection, "malformed", "frames are binary")
      return null
    }
    try {
      return decodeClientMessage(bytes)
    } catch (error) {
      const isVersion = error instanceof DecodeError && error.code === "unknown-version"
      const code = isVersion ? "unsupported-version" : "malformed"
      replies.endMalformed(connection, code, "the frame does not decode")
      return null
    }
  }

  return {
    frame(connection, bytes, isBinary) {
      if (!connection.alive) return
      const now = clock.monotonic()
      connection.heardAt = now
      connection.pingedAt = null
      if (!replies.allow(connection, bytes.length, now)) {
        replies.refuseFrame(connection, bytes, now)
        return
      }
      const message = decode(connection, bytes, isBinary)
      if (message !== null) handle(connection, message, now)
    },
    ping(connection, payload) {
      if (!connection.alive) return
      const now = clock.monotonic()
      connection.heardAt = now
      connection.pingedAt = null
      if (replies.allow(connection, payload.length, now)) connection.socket.pong(payload)
    },
    pong(connection, payload) {
      if (!connection.alive) return
      const now = clock.monotonic()
      connection.heardAt = now
      if (connection.pingedAt === null) replies.allow(connection, payload.length, now)
      connection.pingedAt = null
    },
    violated(connection) {
      // `ws` closes the socket by itself.
      connection.expelled = true
      replies.countFailure(connection)
    },
    closed(connection, closeCode) {
      // A close that this host began is answered with the host's own code, so that code does not mean a leave.
      const left = connection.alive && (closeCode === 1000 || closeCode === 1001)
      connection.alive = false
      for (const aborter of connection.pendingJoins.values()) aborter.abort()
      connection.pendingJoins.clear()
      const now = clock.monotonic()
      for (const { member } of connection.memberships.values()) {
        if (left || connection.expelled) directory.leave(member)
        else directory.lose(member, now)
      }
      connection.memberships.clear()
    },
    missedJoin(connection) {
      replies.countFailure(connection)
      replies.fail(connection, 0, "join-timeout", `nothing was joined within ${settings.joinDeadlineMs} ms`)
      connection.end(signalingCloseCodes.unauthorized, "join-timeout", "expelled")
    },
  }
}

/** The fields of a frame are views of memory that belongs to the socket, so what is kept is copied. */
function ownBytes(message: JoinMessage): JoinMessage {
  return {
    ...message,
    topic: message.topic.slice(),
    peer: message.peer.slice(),
    resume: message.resume?.slice() ?? null,
  }
}
