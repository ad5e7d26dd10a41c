import type { Millis } from "@dunlin/core"
import type { IceConfiguration } from "@dunlin/core/signaling"
import type { Connection } from "./connection.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import type { IceIssuer } from "./ice-issuer.ts"
import { createBucket, draw } from "./token-bucket.ts"

/** Gives sockets their ICE servers, and new credentials before the old ones expire. */
export interface IceDesk {
  /** For a join. All topics of a socket share one set of credentials, or joining would be a way around the limit. */
  give(connection: Connection, now: Millis): IceConfiguration
  /** A socket asks for new credentials. */
  request(connection: Connection, now: Millis): void
  /** Sends new credentials to a socket whose own are about to expire. */
  refreshWhenDue(connection: Connection, now: Millis): void
}

/** New credentials are due when this much of their life is left. */
const REFRESH_SHARE = 0.25

export function createIceDesk({
  settings,
  ice,
  counters,
}: {
  readonly settings: Pick<HostSettings, "turnRequestsPerMinute">
  readonly ice: IceIssuer
  readonly counters: HostCounters
}): IceDesk {
  const rate = { perSecond: settings.turnRequestsPerMinute / 60, burst: settings.turnRequestsPerMinute }

  const issue = (connection: Connection, now: Millis): IceConfiguration => {
    const configuration = ice.issue()
    if (ice.ttlMs !== null) connection.ice = { configuration, expiresAt: now + ice.ttlMs }
    return configuration
  }

  const leftMs = (connection: Connection, now: Millis): Millis =>
    connection.ice === null ? 0 : connection.ice.expiresAt - now

  const isDue = (connection: Connection, now: Millis): boolean =>
    ice.ttlMs !== null && leftMs(connection, now) < ice.ttlMs * REFRESH_SHARE

  return {
    give(connection, now) {
      if (connection.ice === null || isDue(connection, now)) return issue(connection, now)
      return { ...connection.ice.configuration, expiresInMs: Math.ceil(leftMs(connection, now)) }
    },
    request(connection, now) {
      if (connection.memberships.size === 0) {
        count(counters.drops, "not-joined")
        return
      }
      connection.iceRequests ??= createBucket(rate, now)
      if (draw(connection.iceRequests, rate, 1, now)) {
        connection.tell({ type: "ice", ice: issue(connection, now) })
      } else count(counters.rateLimited, "turn")
    },
    refreshWhenDue(connection, now) {
      if (connection.memberships.size === 0 || !isDue(connection, now)) return
      connection.tell({ type: "ice", ice: issue(connection, now) })
    },
  }
}
