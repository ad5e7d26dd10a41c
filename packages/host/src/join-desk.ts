import { createHash } from "node:crypto"
import type { Clock, Millis, Random } from "@dunlin/core"
import {
  type ClientMessage,
  MAX_ROOM_PEERS,
  RESUME_BYTES,
  type SignalingErrorCode,
  type SignalingLimits,
} from "@dunlin/core/signaling"
import type { AddressLimits } from "./address-limits.ts"
import { bytesOfKey, keyOfBytes } from "./binary-key.ts"
import type { Connection, Membership } from "./connection.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import type { IceDesk } from "./ice-desk.ts"
import type { Authorization, JoinAuthority } from "./join-authority.ts"
import type { SessionReplies } from "./session-replies.ts"
import { reachablePeers, type SessionElsewhere, type TopicDirectory } from "./topic-directory.ts"

type JoinMessage = Extract<ClientMessage, { type: "join" }>
type RenewMessage = Extract<ClientMessage, { type: "renew" }>

/** Who gets in, who stays in, and who goes. */
export interface JoinDesk {
  join(connection: Connection, message: JoinMessage): void
  renew(connection: Connection, message: RenewMessage): void
  leave(connection: Connection, channel: number): void
  /** Ends one membership with a reason. */
  expel(connection: Connection, membership: Membership, code: SignalingErrorCode, detail: string): void
}

/** When a join that was refused for lack of room may be tried again. */
const CROWDED_RETRY_MS = 30_000
const DRAIN_SPREAD_MS = 10_000

/**
 * Failures that count against the address. "peer-id-taken" is none: an honest client causes it when the answer to its join
 * was lost with its socket, and a whole office behind one address may have lost its network at once.
 */
const authFailures: ReadonlySet<SignalingErrorCode> = new Set<SignalingErrorCode>([
  "unauthorized",
  "token-expired",
  "forbidden",
])

export function createJoinDesk(deps: {
  readonly settings: HostSettings
  readonly clock: Clock
  readonly random: Random
  readonly directory: TopicDirectory
  readonly authority: JoinAuthority
  readonly addresses: AddressLimits
  readonly iceDesk: IceDesk
  readonly counters: HostCounters
  readonly replies: SessionReplies
  readonly isDraining: () => boolean
  /** Asks the other hosts of a cluster for a session; null where there is no cluster. */
  readonly findElsewhere: (topic: string, peer: string) => null | Promise<SessionElsewhere | null>
  /** A fault of ours during a decision. */
  readonly faulted: (connection: Connection, error: unknown) => void
}): JoinDesk {
  const { settings, clock, random, directory, addresses, counters, replies } = deps
  const limits = announcedLimits(settings)

  const refuse = (
    connection: Connection,
    channel: number,
    code: SignalingErrorCode,
    detail: string,
    retryMs = 0,
  ): void => {
    count(counters.joins, code)
    if (authFailures.has(code)) {
      counters.authFailures += 1
      replies.countFailure(connection)
    }
    replies.fail(connection, channel, code, detail, retryMs)
  }

  const refuseDraining = (connection: Connection, channel: number): void =>
    refuse(
      connection,
      channel,
      "draining",
      "this host is shutting down",
      Math.ceil(random.unit() * DRAIN_SPREAD_MS),
    )

  const admit = (
    connection: Connection,
    join: JoinMessage,
    expiresAt: Millis | null,
    elsewhere: SessionElsewhere | null,
  ): void => {
    const { channel } = join
    const now = clock.monotonic()
    const resume = random.bytes(RESUME_BYTES)
    const result = directory.join({
      topic: keyOfBytes(join.topic),
      peer: keyOfBytes(join.peer),
      presentedClaim: join.resume === null ? null : claimOf(join.resume),
      claim: claimOf(resume),
      elsewhere,
      outlet: connection,
      channel,
      now,
    })
    switch (result.type) {
      case "room-full": {
        const detail = `the room has its ${settings.roomMaxSockets} members`
        refuse(connection, channel, "room-full", detail, CROWDED_RETRY_MS)
        return
      }
      case "peer-id-taken":
        refuse(connection, channel, "peer-id-taken", "another session has this peer id")
        return
      case "too-many-topics":
        count(counters.rateLimited, "process")
        refuse(
          connection,
          channel,
          "overloaded",
          "the host has reached its limit of topics",
          CROWDED_RETRY_MS,
        )
        return
      case "joined":
        break
    }
    const { member, resumed } = result
    connection.memberships.set(channel, { channel, member, tokenExpiresAt: expiresAt, held: null })
    connection.everJoined = true
    count(counters.joins, resumed ? "resumed" : "joined")
    connection.tell({
      type: "joined",
      channel,
      resumed,
      resume,
      graceMs: settings.graceMs,
      tokenExpiresInMs: remaining(expiresAt, now),
      limits,
      ice: deps.iceDesk.give(connection, now),
      peers: reachablePeers(member.topic, member).slice(0, MAX_ROOM_PEERS).map(bytesOfKey),
    })
  }

  /** Does not call back if the channel was left or the socket closed in the meantime. */
  const settle = <T>(
    connection: Connection,
    channel: number,
    ask: (signal: AbortSignal) => Promise<T>,
    decided: (answer: T) => void,
  ): void => {
    const aborter = new AbortController()
    connection.pendingJoins.set(channel, aborter)
    connection.deciding += 1
    void ask(aborter.signal).then((answer) => {
      connection.deciding -= 1
      if (connection.pendingJoins.get(channel) !== aborter) return
      connection.pendingJoins.delete(channel)
      try {
        if (connection.alive) decided(answer)
      } catch (error) {
        deps.faulted(connection, error)
      }
    })
  }

  const authorize = (
    connection: Connection,
    { channel, topic, peer, token }: Pick<JoinMessage, "channel" | "topic" | "peer" | "token">,
    decided: (decision: Authorization) => void,
  ): void => {
    if (deps.authority.isOpen) {
      decided({ type: "granted", expiresAt: null })
      return
    }
    const { address, origin } = connection
    const ask = (signal: AbortSignal): Promise<Authorization> =>
      deps.authority.authorize({ topic, peer, token, address, origin, signal })
    settle(connection, channel, ask, decided)
  }

  /** A session to be resumed that is not known here may be known to another host. */
  const search = (
    connection: Connection,
    join: JoinMessage,
    found: (elsewhere: SessionElsewhere | null) => void,
  ): void => {
    const topic = keyOfBytes(join.topic)
    const peer = keyOfBytes(join.peer)
    const isKnown = directory.find(topic)?.members.has(peer) ?? false
    const answer = join.resume === null || isKnown ? null : deps.findElsewhere(topic, peer)
    if (answer === null) found(null)
    else settle(connection, join.channel, () => answer, found)
  }

  const forget = (connection: Connection, membership: Membership): void => {
    connection.memberships.delete(membership.channel)
    connection.idleSince = clock.monotonic()
    directory.leave(membership.member)
  }

  const expel: JoinDesk["expel"] = (connection, membership, code, detail) => {
    forget(connection, membership)
    replies.fail(connection, membership.channel, code, detail)
  }

  return {
    expel,
    join(connection, message) {
      const { channel } = message
      if (deps.isDraining()) {
        refuseDraining(connection, channel)
        return
      }
      const blockedMs = addresses.blockedFor(connection.addressGroup, clock.monotonic())
      if (blockedMs > 0) {
        const detail = "too many failed joins from this address"
        refuse(connection, channel, "blocked", detail, Math.ceil(blockedMs))
        return
      }
      if (isTaken(connection, message)) {
        // An error on this channel alone would end a membership that is in order.
        replies.endMalformed(
          connection,
          "channel-in-use",
          "a channel or topic was joined twice on one socket",
        )
        return
      }
      if (connection.memberships.size + connection.deciding >= settings.socketMaxTopics) {
        const detail = `a socket may be in ${settings.socketMaxTopics} topics`
        refuse(connection, channel, "too-many-topics", detail)
        return
      }
      authorize(connection, message, (decision) => {
        if (decision.type === "denied") {
          refuse(connection, channel, decision.code, decision.detail)
          return
        }
        search(connection, message, (elsewhere) => {
          if (deps.isDraining()) refuseDraining(connection, channel)
          else if (isTaken(connection, message)) {
            replies.endMalformed(connection, "channel-in-use", "a topic was joined twice on one socket")
          } else admit(connection, message, decision.expiresAt, elsewhere)
        })
      })
    },
    renew(connection, { channel, token }) {
      const membership = connection.memberships.get(channel)
      if (membership === undefined) {
        replies.complain(connection, channel, "not-joined", "this channel has no membership to renew")
        return
      }
      if (connection.pendingJoins.has(channel)) {
        replies.complain(connection, channel, "rate-limited", "a renewal of this channel is being decided")
        return
      }
      const { member } = membership
      const request = { channel, topic: bytesOfKey(member.topic.key), peer: bytesOfKey(member.peer), token }
      authorize(connection, request, (decision) => {
        if (connection.memberships.get(channel) !== membership) return
        if (decision.type === "granted") {
          membership.tokenExpiresAt = decision.expiresAt
          const tokenExpiresInMs = remaining(decision.expiresAt, clock.monotonic())
          connection.tell({ type: "renewed", channel, tokenExpiresInMs })
          return
        }
        counters.authFailures += 1
        replies.countFailure(connection)
        if (decision.code === "forbidden") expel(connection, membership, "forbidden", decision.detail)
        else replies.fail(connection, channel, "unauthorized", decision.detail)
      })
    },
    leave(connection, channel) {
      connection.pendingJoins.get(channel)?.abort()
      connection.pendingJoins.delete(channel)
      const membership = connection.memberships.get(channel)
      if (membership !== undefined) forget(connection, membership)
      // Answered even when there was nothing to leave: a membership may have ended while this message was on its way.
      connection.tell({ type: "left", channel })
    },
  }
}

function isTaken(
  connection: Connection,
  { channel, topic }: Pick<JoinMessage, "channel" | "topic">,
): boolean {
  if (connection.memberships.has(channel) || connection.pendingJoins.has(channel)) return true
  const key = keyOfBytes(topic)
  for (const { member } of connection.memberships.values()) if (member.topic.key === key) return true
  return false
}

function announcedLimits(settings: HostSettings): SignalingLimits {
  return {
    maxFrameBytes: settings.maxFrameBytes,
    messagesPerSecond: settings.socketMessagesPerSecond,
    messageBurst: settings.socketMessageBurst,
    bytesPerSecond: settings.socketBytesPerSecond,
    byteBurst: settings.socketByteBurst,
    maxTopics: settings.socketMaxTopics,
    maxPeers: settings.roomMaxSockets,
    heartbeatMs: settings.heartbeatMs,
  }
}

/** The secret itself is not kept; this hash is all that the hosts of a cluster tell each other. */
function claimOf(resume: Uint8Array): string {
  return keyOfBytes(createHash("sha256").update(resume).digest().subarray(0, 16))
}

/** As told to a client: 0 means for ever, and the field holds at most seven weeks. */
function remaining(expiresAt: Millis | null, now: Millis): Millis {
  return expiresAt === null ? 0 : Math.min(0xffff_ffff, Math.max(1, Math.ceil(expiresAt - now)))
}
