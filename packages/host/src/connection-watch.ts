import type { Clock, Millis } from "@dunlin/core"
import { signalingCloseCodes } from "@dunlin/core/signaling"
import type { Connection } from "./connection.ts"
import type { HostSettings } from "./host-settings.ts"
import type { IceDesk } from "./ice-desk.ts"
import type { JoinDesk } from "./join-desk.ts"
import type { SignalingSessions } from "./signaling-session.ts"

const ROUND_MS = 1000

export interface WatchOptions {
  readonly connections: ReadonlySet<Connection>
  readonly settings: HostSettings
  readonly sessions: SignalingSessions
  readonly desk: JoinDesk
  readonly iceDesk: IceDesk
  readonly clock: Clock
  /** A fault of ours with one socket must not stop the watch over all. */
  readonly faulted: (connection: Connection, error: unknown) => void
  /** Called each round, after the sockets. */
  readonly round: (now: Millis) => void
}

/** Checks every socket once a second: one timer for all costs less than several for each. */
export function watchConnections(options: WatchOptions): { readonly close: () => void } {
  const { connections, settings, clock } = options
  // Short limits, as tests use them, are kept as precisely as long ones.
  const shortest = Math.min(
    settings.joinDeadlineMs,
    settings.idleMs,
    settings.heartbeatGraceMs,
    settings.slowCloseMs,
  )
  const roundMs = Math.min(ROUND_MS, Math.max(50, shortest / 4))
  let cancel = (): void => {}

  const turn = (): void => {
    const now = clock.monotonic()
    let buffered = 0
    for (const connection of connections) {
      try {
        watchOne(connection, now, options)
      } catch (error) {
        options.faulted(connection, error)
      }
      buffered += connection.bufferedBytes
    }
    if (buffered > settings.maxBufferedBytes)
      endWorstReaders(connections, buffered - settings.maxBufferedBytes)
    options.round(now)
    cancel = clock.after(roundMs, turn)
  }
  cancel = clock.after(roundMs, turn)
  return { close: () => cancel() }
}

function watchOne(
  connection: Connection,
  now: Millis,
  { settings, sessions, desk, iceDesk }: WatchOptions,
): void {
  if (!connection.alive) return
  const waiting = connection.memberships.size > 0 || connection.pendingJoins.size > 0
  if (!connection.everJoined && !waiting && now - connection.openedAt > settings.joinDeadlineMs) {
    sessions.missedJoin(connection)
    return
  }
  if (!waiting && now - connection.idleSince > settings.idleMs) {
    connection.tell({ type: "error", channel: 0, code: "idle", retryMs: 0, detail: "no topic is joined" })
    connection.end(signalingCloseCodes.idle, "idle", "expelled")
    return
  }
  if (!watchHeartbeat(connection, now, settings)) return
  if (!watchReading(connection, now, settings)) return
  for (const membership of connection.memberships.values()) {
    if (membership.tokenExpiresAt !== null && membership.tokenExpiresAt <= now) {
      desk.expel(connection, membership, "token-expired", "the token ran out and was not renewed")
    }
  }
  iceDesk.refreshWhenDue(connection, now)
}

/** False when the socket has been ended. */
function watchHeartbeat(connection: Connection, now: Millis, settings: HostSettings): boolean {
  if (connection.pingedAt === null) {
    if (now - connection.heardAt < settings.heartbeatMs) return true
    connection.pingedAt = now
    connection.socket.ping()
    return true
  }
  if (now - connection.pingedAt < settings.heartbeatGraceMs) return true
  // Nobody is left to answer a close frame. The session may come back on another socket.
  connection.alive = false
  connection.socket.terminate()
  return false
}

/** False when the socket has been ended. */
function watchReading(connection: Connection, now: Millis, settings: HostSettings): boolean {
  const buffered = connection.bufferedBytes
  if (buffered <= settings.slowBytes) {
    connection.slowSince = null
    connection.releasePresence()
    return true
  }
  connection.slowSince ??= now
  if (buffered <= settings.slowCloseBytes && now - connection.slowSince < settings.slowCloseMs) return true
  connection.endSlow()
  return false
}

/** Each socket may be within its own limit while all together exceed theirs. */
function endWorstReaders(connections: ReadonlySet<Connection>, excess: number): void {
  const worst = [...connections].sort((a, b) => b.bufferedBytes - a.bufferedBytes)
  let left = excess
  for (const connection of worst) {
    if (left <= 0) return
    left -= connection.bufferedBytes
    connection.endSlow()
    connection.socket.terminate()
  }
}
