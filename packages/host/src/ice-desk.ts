import type { Millis } from "@dunlin/core"
import type { IceConfiguration } from "@dunlin/core/signaling"
import type { Connection } from "./connection.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import type { IceIssuer } from "./ice-issuer.ts"
import { createBucket, draw, type TokenBucket } from "./token-bucket.ts"

/**
 * Gives sockets their ICE servers, and new credentials before the old ones expire. All sockets of an address share their
 * credentials: with credentials of its own for each socket, reconnecting would be a way around the limit.
 */
export interface IceDesk {
  /** For a join. */
  give(connection: Connection, now: Millis): IceConfiguration
  /** A socket asks for new credentials. */
  request(connection: Connection, now: Millis): void
  /** Sends new credentials to a socket whose own are about to expire. */
  refreshWhenDue(connection: Connection, now: Millis): void
}

export interface IssuedIce {
  readonly configuration: IceConfiguration
  /** `Infinity` without credentials. */
  readonly expiresAt: Millis
}

interface AddressIce {
  readonly issued: IssuedIce
  readonly requests: TokenBucket
}

/** New credentials are due when this much of their life is left. */
const REFRESH_SHARE = 0.25
/** As many as a host has sockets by default; beyond that, the address that got its credentials first begins anew. */
const MAX_ADDRESSES = 10_000

export function createIceDesk({
  settings,
  ice,
  counters,
}: {
  readonly settings: Pick<HostSettings, "turnRequestsPerMinute">
  readonly ice: IceIssuer
  readonly counters: HostCounters
}): IceDesk {
  const ttlMs = ice.ttlMs ?? Number.POSITIVE_INFINITY
  const rate = { perSecond: settings.turnRequestsPerMinute / 60, burst: settings.turnRequestsPerMinute }
  /** In the order of expiry, since the lifetime is the same for all. */
  const iceByAddress = new Map<string, AddressIce>()

  const isDue = (issued: IssuedIce | null | undefined, now: Millis): boolean =>
    issued == null || (issued.expiresAt < Infinity && issued.expiresAt - now < ttlMs * REFRESH_SHARE)

  const forgetOldest = (now: Millis): void => {
    for (const [address, { issued }] of iceByAddress) {
      if (issued.expiresAt > now && iceByAddress.size < MAX_ADDRESSES) return
      iceByAddress.delete(address)
    }
  }

  const issueFor = (address: string, requests: TokenBucket, now: Millis): IssuedIce => {
    const issued = { configuration: ice.issue(), expiresAt: now + ttlMs }
    iceByAddress.delete(address)
    forgetOldest(now)
    iceByAddress.set(address, { issued, requests })
    return issued
  }

  /** What the address has, or something new if that is about to expire. */
  const current = (address: string, now: Millis): IssuedIce => {
    const known = iceByAddress.get(address)
    if (known !== undefined && !isDue(known.issued, now)) return known.issued
    return issueFor(address, known?.requests ?? createBucket(rate, now), now)
  }

  const hand = (connection: Connection, issued: IssuedIce, now: Millis): IceConfiguration => {
    connection.ice = issued
    const { configuration, expiresAt } = issued
    return expiresAt === Infinity
      ? configuration
      : { ...configuration, expiresInMs: Math.ceil(expiresAt - now) }
  }

  const send = (connection: Connection, issued: IssuedIce, now: Millis): void =>
    connection.tell({ type: "ice", ice: hand(connection, issued, now) })

  return {
    give: (connection, now) => hand(connection, current(connection.addressGroup, now), now),
    request(connection, now) {
      if (connection.memberships.size === 0) {
        count(counters.drops, "not-joined")
        return
      }
      const { addressGroup } = connection
      const known = iceByAddress.get(addressGroup)
      // Another socket of the address has got newer ones already.
      if (known === undefined || isDue(known.issued, now) || known.issued !== connection.ice)
        send(connection, current(addressGroup, now), now)
      else if (draw(known.requests, rate, 1, now))
        send(connection, issueFor(addressGroup, known.requests, now), now)
      else count(counters.rateLimited, "turn")
    },
    refreshWhenDue(connection, now) {
      if (connection.memberships.size === 0 || !isDue(connection.ice, now)) return
      send(connection, current(connection.addressGroup, now), now)
    },
  }
}
