import { createHash } from "node:crypto"
import type { Clock, Millis, Random } from "@dunlin/core"
import {
  type ClientMessage,
  DecodeError,
  decodeClientMessage,
  encodeHostMessage,
  MAX_ROOM_PEERS,
  RESUME_BYTES,
  signalingCloseCodes,
  type SignalingErrorCode,
  type SignalingLimits,
} from "@dunlin/core/signaling"
import type { AddressLimits } from "./address-limits.ts"
import { bytesOfKey, keyOfBytes } from "./binary-key.ts"
import type { Connection, Membership } from "./connection.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import type { IceIssuer } from "./ice-issuer.ts"
import type { Authorization, JoinAuthority } from "./join-authority.ts"
import { createBucket, draw, drawWithDebt, waitFor } from "./token-bucket.ts"
import { type Member, reachablePeers, type TopicDirectory } from "./topic-directory.ts"

type JoinMessage = Extract<ClientMessage, { type: "join" }>
type SignalMessage = Extract<ClientMessage, { type: "signal" }>
type RenewMessage = Extract<ClientMessage, { type: "renew" }>

/** Passes a signal to a member on another host of the cluster. False when it cannot at present. */
export type RemoteForward = (member: Member, from: string, blob: Uint8Array) => boolean

export interface SessionDeps {
  readonly settings: HostSettings
  readonly clock: Clock
  readonly random: Random
  readonly directory: TopicDirectory
  readonly authority: JoinAuthority
  readonly addresses: AddressLimits
  readonly ice: IceIssuer
  readonly counters: HostCounters
  readonly forwardRemote: RemoteForward
  readonly isDraining: () => boolean
  /** An address has just been blocked; for the log. */
  readonly blocked: (addressGroup: string) => void
}

/** What happens with the frames of sockets. */
export interface SignalingSessions {
  frame(connection: Connection, bytes: Uint8Array, isBinary: boolean): void
  /** A WebSocket ping: it costs what a message costs. */
  ping(connection: Connection, payload: Uint8Array): void
  /** The answer to a ping of ours, or one that nobody asked for. */
  pong(connection: Connection, payload: Uint8Array): void
  /** The socket broke the WebSocket protocol. */
  violated(connection: Connection): void
  /** The socket is gone. `left` when the client said that it is leaving. */
  closed(connection: Connection, left: boolean): void
  /** A socket that has not joined in time. */
  missedJoin(connection: Connection): void
  /** Ends one membership with a reason. */
  expel(connection: Connection, membership: Membership, code: SignalingErrorCode, detail: string): void
  /** Sends present ICE servers, and remembers when they expire. */
  refreshIce(connection: Connection, now: Millis): void
}

/** Errors a socket is told of; the rest is dropped in silence, so that no flood is answered with a flood. */
const COMPLAINT_INTERVAL_MS = 250
/** Where a refused join may be tried again when nothing else says so. */
const CROWDED_RETRY_MS = 30_000
const FLOOD_RETRY_MS = 60_000

export function createSignalingSessions(deps: SessionDeps): SignalingSessions {
  const { settings, clock, random, directory, addresses, counters } = deps
  const messageRate = { perSecond: settings.socketMessagesPerSecond, burst: settings.socketMessageBurst }
  const byteRate = { perSecond: settings.socketBytesPerSecond, burst: settings.socketByteBurst }
  const iceRate = { perSecond: settings.turnRequestsPerMinute / 60, burst: settings.turnRequestsPerMinute }
  const limits: SignalingLimits = {
    maxFrameBytes: settings.maxFrameBytes,
    messagesPerSecond: settings.socketMessagesPerSecond,
    messageBurst: settings.socketMessageBurst,
    bytesPerSecond: settings.socketBytesPerSecond,
    byteBurst: settings.socketByteBurst,
    maxTopics: settings.socketMaxTopics,
    maxPeers: Math.min(settings.roomMaxSockets, MAX_ROOM_PEERS),
    heartbeatMs: settings.heartbeatMs,
  }

  const fail = (
    connection: Connection,
    channel: number,
    code: SignalingErrorCode,
    detail: string,
    retryMs = 0,
  ): void => connection.tell({ type: "error", channel, code, retryMs, detail })

  const countFailure = (connection: Connection, now: Millis): void => {
    if (!addresses.failed(connection.addressGroup, now)) return
    counters.blocks += 1
    deps.blocked(connection.addressGroup)
  }

  const endMalformed = (connection: Connection, code: SignalingErrorCode, detail: string): void => {
    if (!connection.alive) return
    countFailure(connection, clock.monotonic())
    fail(connection, 0, code, detail)
    connection.end(code === "frame-too-large" ? 1009 : signalingCloseCodes.malformed, code, "expelled")
  }

  /** False when the message is not to be looked at. */
  const allow = (connection: Connection, byteCount: number, now: Millis): boolean => {
    counters.messagesIn += 1
    counters.bytesIn += byteCount
    const messages = drawWithDebt(connection.messages, messageRate, 1, now)
    const bytes = drawWithDebt(connection.bytes, byteRate, byteCount, now)
    if (messages === "granted" && bytes === "granted") return true
    count(counters.rateLimited, "socket")
    if (messages === "flooded" || bytes === "flooded") {
      fail(connection, 0, "rate-limited", "the flood went on", FLOOD_RETRY_MS)
      connection.end(signalingCloseCodes.flood, "rate-limited", "expelled")
    }
    return false
  }

  const complainOfRate = (connection: Connection, frame: Uint8Array, now: Millis): void => {
    const channel = ((frame[2] ?? 0) << 8) | (frame[3] ?? 0)
    const isMember = connection.memberships.has(channel)
    // Channel 0 would say that the socket closes. A join is always answered, or its client would wait for nothing.
    if (channel === 0 || (isMember && now - connection.complainedAt < COMPLAINT_INTERVAL_MS)) return
    connection.complainedAt = now
    const retryMs = Math.max(
      waitFor(connection.messages, messageRate, 1),
      waitFor(connection.bytes, byteRate, frame.length),
    )
    fail(connection, channel, "rate-limited", "a message was dropped: slow down", retryMs)
  }

  const refuseJoin = (
    connection: Connection,
    channel: number,
    code: SignalingErrorCode,
    detail: string,
    retryMs = 0,
  ): void => {
    count(counters.joins, code)
    if (failedJoins.has(code)) {
      if (code !== "peer-id-taken") counters.authFailures += 1
      countFailure(connection, clock.monotonic())
    }
    fail(connection, channel, code, detail, retryMs)
  }

  const admit = (connection: Connection, join: JoinMessage, expiresAt: Millis | null): void => {
    const now = clock.monotonic()
    const resume = random.bytes(RESUME_BYTES)
    const result = directory.join({
      topic: keyOfBytes(join.topic),
      peer: keyOfBytes(join.peer),
      presentedClaim: join.resume === null ? null : claimOf(join.resume),
      claim: claimOf(resume),
      outlet: connection,
      channel: join.channel,
      now,
    })
    switch (result.type) {
      case "room-full": {
        const detail = `the room has its ${settings.roomMaxSockets} members`
        refuseJoin(connection, join.channel, "room-full", detail, CROWDED_RETRY_MS)
        return
      }
      case "peer-id-taken":
        refuseJoin(connection, join.channel, "peer-id-taken", "another session has this peer id")
        return
      case "too-many-topics":
        refuseJoin(
          connection,
          join.channel,
          "overloaded",
          "the host has all the topics it takes",
          CROWDED_RETRY_MS,
        )
        count(counters.rateLimited, "process")
        return
      case "joined":
        break
    }
    const { member } = result
    connection.memberships.set(join.channel, {
      channel: join.channel,
      member,
      tokenExpiresAt: expiresAt,
      held: null,
    })
    connection.everJoined = true
    count(counters.joins, result.resumed ? "resumed" : "joined")
    const ice = deps.ice.issue()
    connection.iceExpiresAt = deps.ice.ttlMs === null ? null : now + deps.ice.ttlMs
    connection.tell({
      type: "joined",
      channel: join.channel,
      resumed: result.resumed,
      resume,
      graceMs: settings.graceMs,
      tokenExpiresInMs: remaining(expiresAt, now),
      limits,
      ice,
      peers: reachablePeers(member.topic, member).slice(0, MAX_ROOM_PEERS).map(bytesOfKey),
    })
  }

  const decideJoin = (connection: Connection, join: JoinMessage, decision: Authorization): void => {
    if (!connection.alive) return
    if (decision.type === "denied") refuseJoin(connection, join.channel, decision.code, decision.detail)
    else if (deps.isDraining()) refuseDraining(connection, join.channel)
    else admit(connection, join, decision.expiresAt)
  }

  const refuseDraining = (connection: Connection, channel: number): void =>
    refuseJoin(connection, channel, "draining", "this host is about to go", Math.ceil(random.unit() * 10_000))

  const join = (connection: Connection, message: JoinMessage): void => {
    const { channel } = message
    if (deps.isDraining()) {
      refuseDraining(connection, channel)
      return
    }
    const blockedMs = addresses.blockedFor(connection.addressGroup, clock.monotonic())
    if (blockedMs > 0) {
      count(counters.joins, "blocked")
      fail(connection, channel, "blocked", "too many failed joins from this address", Math.ceil(blockedMs))
      return
    }
    const topic = keyOfBytes(message.topic)
    const taken =
      connection.memberships.has(channel) ||
      connection.pendingJoins.has(channel) ||
      [...connection.memberships.values()].some(({ member }) => member.topic.key === topic)
    if (taken) {
      // Answered on the channel as an error of that join would end a membership that is well.
      endMalformed(connection, "channel-in-use", "a channel or topic was joined twice on one socket")
      return
    }
    if (connection.memberships.size + connection.pendingJoins.size >= settings.socketMaxTopics) {
      const detail = `a socket may be in ${settings.socketMaxTopics} topics`
      refuseJoin(connection, channel, "too-many-topics", detail)
      return
    }
    authorize(connection, message, (decision) => decideJoin(connection, message, decision))
  }

  /** Calls back at once when no rule needs to wait; never when the channel was left or the socket closed. */
  const authorize = (
    connection: Connection,
    message: Pick<JoinMessage, "channel" | "topic" | "peer" | "token">,
    decided: (decision: Authorization) => void,
  ): void => {
    const aborter = new AbortController()
    const decision = deps.authority.authorize({
      topic: message.topic,
      peer: message.peer,
      token: message.token,
      address: connection.address,
      origin: connection.origin,
      signal: aborter.signal,
    })
    if (!(decision instanceof Promise)) {
      decided(decision)
      return
    }
    connection.pendingJoins.set(message.channel, aborter)
    void decision.then((settled) => {
      if (connection.pendingJoins.get(message.channel) !== aborter) return
      connection.pendingJoins.delete(message.channel)
      try {
        decided(settled)
      } catch {
        guardFailed(connection)
      }
    })
  }

  const renew = (connection: Connection, message: RenewMessage): void => {
    const membership = connection.memberships.get(message.channel)
    if (membership === undefined || connection.pendingJoins.has(message.channel)) {
      notJoined(connection, message.channel)
      return
    }
    const { member, channel } = membership
    const request = {
      channel,
      topic: bytesOfKey(member.topic.key),
      peer: bytesOfKey(member.peer),
      token: message.token,
    }
    authorize(connection, request, (decision) => {
      if (!connection.alive || connection.memberships.get(channel) !== membership) return
      const now = clock.monotonic()
      if (decision.type === "granted") {
        membership.tokenExpiresAt = decision.expiresAt
        connection.tell({ type: "renewed", channel, tokenExpiresInMs: remaining(decision.expiresAt, now) })
        return
      }
      counters.authFailures += 1
      countFailure(connection, now)
      if (decision.code === "forbidden") sessions.expel(connection, membership, "forbidden", decision.detail)
      else fail(connection, channel, "unauthorized", decision.detail)
    })
  }

  const leave = (connection: Connection, channel: number): void => {
    connection.pendingJoins.get(channel)?.abort()
    connection.pendingJoins.delete(channel)
    const membership = connection.memberships.get(channel)
    if (membership !== undefined) forget(connection, membership)
    // Also where nothing was left to leave: a membership may have ended while this was on its way.
    connection.tell({ type: "left", channel })
  }

  const forget = (connection: Connection, membership: Membership): void => {
    connection.memberships.delete(membership.channel)
    connection.idleSince = clock.monotonic()
    directory.leave(membership.member)
  }

  const notJoined = (connection: Connection, channel: number): void => {
    count(counters.drops, "not-joined")
    const now = clock.monotonic()
    if (now - connection.complainedAt < COMPLAINT_INTERVAL_MS) return
    connection.complainedAt = now
    fail(connection, channel, "not-joined", "this channel has no membership")
  }

  const unreachable = (
    connection: Connection,
    channel: number,
    peer: Uint8Array,
    reason: "gone" | "away" | "busy",
  ): void => {
    count(counters.drops, reason)
    connection.tell({ type: "unreachable", channel, peer, reason })
  }

  const signal = (connection: Connection, message: SignalMessage, now: Millis): void => {
    const { channel, to, blob } = message
    const membership = connection.memberships.get(channel)
    if (membership === undefined) {
      notJoined(connection, channel)
      return
    }
    const { member } = membership
    if (!directory.drawMessage(member.topic, now)) {
      count(counters.rateLimited, "room")
      if (now - connection.complainedAt < COMPLAINT_INTERVAL_MS) return
      connection.complainedAt = now
      fail(connection, channel, "rate-limited", "the room as a whole sends too much", 1000)
      return
    }
    const target = member.topic.members.get(keyOfBytes(to))
    if (target === undefined) {
      unreachable(connection, channel, to, "gone")
      return
    }
    const { place } = target
    if (place.type === "away") {
      unreachable(connection, channel, to, "away")
      return
    }
    const delivered =
      place.type === "remote"
        ? deps.forwardRemote(target, member.peer, blob)
        : deliver(place.outlet as Connection, place.channel, member.peer, blob, settings.slowCloseBytes)
    if (delivered) counters.forwards += 1
    else unreachable(connection, channel, to, "busy")
  }

  const requestIce = (connection: Connection, now: Millis): void => {
    if (connection.memberships.size === 0) {
      notJoined(connection, 0)
      return
    }
    connection.iceRequests ??= createBucket(iceRate, now)
    if (draw(connection.iceRequests, iceRate, 1, now)) {
      sessions.refreshIce(connection, now)
      return
    }
    count(counters.rateLimited, "turn")
  }

  const handle = (connection: Connection, message: ClientMessage, now: Millis): void => {
    switch (message.type) {
      case "signal":
        signal(connection, message, now)
        return
      case "join":
        join(connection, ownBytes(message))
        return
      case "leave":
        leave(connection, message.channel)
        return
      case "renew":
        renew(connection, message)
        return
      case "ice-request":
        requestIce(connection, now)
        return
      case "ping":
        connection.tell({ type: "pong", nonce: message.nonce })
    }
  }

  /** A fault of ours must not end the process, nor leave a socket half way. */
  const guardFailed = (connection: Connection): void => {
    counters.handlerErrors += 1
    connection.end(1011, "internal", "may-return")
  }

  const sessions: SignalingSessions = {
    frame(connection, bytes, isBinary) {
      if (!connection.alive) return
      const now = clock.monotonic()
      connection.heardAt = now
      connection.pingedAt = null
      if (!allow(connection, bytes.length, now)) {
        if (connection.alive) complainOfRate(connection, bytes, now)
        return
      }
      const maxBytes = connection.memberships.size > 0 ? settings.maxFrameBytes : settings.maxJoinFrameBytes
      if (bytes.length > maxBytes) {
        endMalformed(connection, "frame-too-large", `at most ${maxBytes} bytes are taken here`)
        return
      }
      if (!isBinary) {
        endMalformed(connection, "malformed", "frames are binary")
        return
      }
      let message: ClientMessage
      try {
        message = decodeClientMessage(bytes)
      } catch (error) {
        const code = error instanceof DecodeError && error.code === "unknown-version"
        endMalformed(connection, code ? "unsupported-version" : "malformed", "the frame does not decode")
        return
      }
      try {
        handle(connection, message, now)
      } catch {
        guardFailed(connection)
      }
    },
    ping(connection, payload) {
      if (!connection.alive) return
      const now = clock.monotonic()
      connection.heardAt = now
      connection.pingedAt = null
      if (allow(connection, payload.length, now)) connection.socket.pong(payload)
    },
    pong(connection, payload) {
      if (!connection.alive) return
      const now = clock.monotonic()
      connection.heardAt = now
      if (connection.pingedAt === null) allow(connection, payload.length, now)
      connection.pingedAt = null
    },
    violated(connection) {
      countFailure(connection, clock.monotonic())
    },
    closed(connection, left) {
      const leaves = left || connection.expelled
      connection.alive = false
      for (const aborter of connection.pendingJoins.values()) aborter.abort()
      connection.pendingJoins.clear()
      const now = clock.monotonic()
      for (const { member } of connection.memberships.values()) {
        if (leaves) directory.leave(member)
        else directory.lose(member, now)
      }
      connection.memberships.clear()
    },
    missedJoin(connection) {
      countFailure(connection, clock.monotonic())
      fail(connection, 0, "join-timeout", `nothing was joined within ${settings.joinDeadlineMs} ms`)
      connection.end(signalingCloseCodes.unauthorized, "join-timeout", "expelled")
    },
    expel(connection, membership, code, detail) {
      forget(connection, membership)
      fail(connection, membership.channel, code, detail)
    },
    refreshIce(connection, now) {
      if (deps.ice.ttlMs !== null) connection.iceExpiresAt = now + deps.ice.ttlMs
      connection.tell({ type: "ice", ice: deps.ice.issue() })
    },
  }
  return sessions
}

/** Failures that only a wrong or hostile client has. */
const failedJoins: ReadonlySet<SignalingErrorCode> = new Set<SignalingErrorCode>([
  "unauthorized",
  "token-expired",
  "forbidden",
  "peer-id-taken",
])

/** Passes a blob to a socket of this host. False when the socket does not read what it is sent. */
export function deliver(
  target: Connection,
  channel: number,
  from: string,
  blob: Uint8Array,
  slowCloseBytes: number,
): boolean {
  if (!target.alive) return false
  if (target.bufferedBytes > slowCloseBytes) {
    target.endSlow()
    return false
  }
  target.send(encodeHostMessage({ type: "signal", channel, from: bytesOfKey(from), blob }))
  return true
}

/** The fields of a frame are views on memory that belongs to the socket; what is kept is copied. */
function ownBytes(message: JoinMessage): JoinMessage {
  return {
    ...message,
    topic: message.topic.slice(),
    peer: message.peer.slice(),
    resume: message.resume?.slice() ?? null,
  }
}

function claimOf(resume: Uint8Array): string {
  return keyOfBytes(createHash("sha256").update(resume).digest().subarray(0, 16))
}

function remaining(expiresAt: Millis | null, now: Millis): Millis {
  return expiresAt === null ? 0 : Math.max(1, Math.ceil(expiresAt - now))
}
