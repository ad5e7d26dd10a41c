import type { Millis, Clock } from "@dunlin/core"
import { signalingCloseCodes, type SignalingErrorCode } from "@dunlin/core/signaling"
import type { AddressLimits } from "./address-limits.ts"
import type { Connection } from "./connection.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import { drawWithDebt, waitFor } from "./token-bucket.ts"

type Reply = (
  connection: Connection,
  channel: number,
  code: SignalingErrorCode,
  detail: string,
  retryMs?: Millis,
) => void

/** Tells a socket what went wrong, and charges it and its address for that. */
export interface SessionReplies {
  readonly fail: Reply
  /** `fail`, but at most a few times a second, so that a flood is not answered with a flood. */
  readonly complain: Reply
  /** Counts something that only a broken or hostile client does against its address. */
  countFailure(connection: Connection): void
  /** Ends a socket that sent bytes no client of this protocol sends. */
  endMalformed(connection: Connection, code: SignalingErrorCode, detail: string): void
  /** Charges a message to the socket. False when the message must be ignored. */
  allow(connection: Connection, byteCount: number, now: Millis): boolean
  /** Answers a frame that `allow` has refused. */
  refuseFrame(connection: Connection, frame: Uint8Array, now: Millis): void
}

const COMPLAINT_INTERVAL_MS = 250
const FLOOD_RETRY_MS = 60_000

export function createSessionReplies(deps: {
  readonly settings: HostSettings
  readonly clock: Clock
  readonly addresses: AddressLimits
  readonly counters: HostCounters
  /** An address has just been blocked; for the log. */
  readonly blocked: (addressGroup: string) => void
}): SessionReplies {
  const { settings, clock, addresses, counters } = deps
  const messageRate = { perSecond: settings.socketMessagesPerSecond, burst: settings.socketMessageBurst }
  const byteRate = { perSecond: settings.socketBytesPerSecond, burst: settings.socketByteBurst }

  const fail: Reply = (connection, channel, code, detail, retryMs = 0) =>
    connection.tell({ type: "error", channel, code, retryMs, detail })

  const countFailure = (connection: Connection): void => {
    if (!addresses.failed(connection.addressGroup, clock.monotonic())) return
    counters.blocks += 1
    deps.blocked(connection.addressGroup)
  }

  return {
    fail,
    countFailure,
    complain(connection, channel, code, detail, retryMs) {
      const now = clock.monotonic()
      if (now - connection.complainedAt < COMPLAINT_INTERVAL_MS) return
      connection.complainedAt = now
      fail(connection, channel, code, detail, retryMs)
    },
    endMalformed(connection, code, detail) {
      if (!connection.alive) return
      countFailure(connection)
      fail(connection, 0, code, detail)
      connection.end(code === "frame-too-large" ? 1009 : signalingCloseCodes.malformed, code, "expelled")
    },
    allow(connection, byteCount, now) {
      counters.messagesIn += 1
      counters.bytesIn += byteCount
      const messages = drawWithDebt(connection.messages, messageRate, 1, now)
      const bytes = drawWithDebt(connection.bytes, byteRate, byteCount, now)
      if (messages === "granted" && bytes === "granted") return true
      count(counters.rateLimited, "socket")
      if (messages === "flooded" || bytes === "flooded") {
        countFailure(connection)
        fail(connection, 0, "rate-limited", "the flood went on", FLOOD_RETRY_MS)
        connection.end(signalingCloseCodes.flood, "rate-limited", "expelled")
      }
      return false
    },
    refuseFrame(connection, frame, now) {
      if (!connection.alive) return
      const channel = ((frame[2] ?? 0) << 8) | (frame[3] ?? 0)
      const isMember = connection.memberships.has(channel)
      // Channel 0 would say that the socket closes. A join always gets an answer, or its client would wait in vain.
      if (channel === 0 || (isMember && now - connection.complainedAt < COMPLAINT_INTERVAL_MS)) return
      connection.complainedAt = now
      const retryMs = Math.max(
        waitFor(connection.messages, messageRate, 1),
        waitFor(connection.bytes, byteRate, frame.length),
      )
      fail(connection, channel, "rate-limited", "a message was dropped: slow down", retryMs)
    },
  }
}
