import { createHmac } from "node:crypto"
import type { Clock, Millis, Random } from "@dunlin/core"
import type { IceConfiguration, IceServer } from "@dunlin/core/signaling"

export interface IceIssuer {
  /** The servers to use, with fresh TURN credentials for each call. */
  issue(): IceConfiguration
  /** How long credentials are valid; null when there are none. */
  readonly ttlMs: Millis | null
}

/** Credentials as coturn's `use-auth-secret` checks them: they need no database and expire by themselves. */
export function createIceIssuer(options: {
  readonly stunUrls: readonly string[]
  readonly turnUrls: readonly string[]
  readonly turnSecret: string
  readonly turnTtlSeconds: number
  readonly clock: Clock
  readonly random: Random
}): IceIssuer {
  const stun: readonly IceServer[] =
    options.stunUrls.length === 0 ? [] : [{ urls: options.stunUrls, username: "", credential: "" }]
  if (options.turnUrls.length === 0) {
    const fixed: IceConfiguration = { servers: stun, expiresInMs: 0 }
    return { issue: () => fixed, ttlMs: null }
  }
  const ttlMs = options.turnTtlSeconds * 1000
  return {
    issue() {
      const expiry = Math.floor(options.clock.now() / 1000) + options.turnTtlSeconds
      const username = `${expiry}:${Buffer.from(options.random.bytes(8)).toString("hex")}`
      const credential = createHmac("sha1", options.turnSecret).update(username).digest("base64")
      return { servers: [...stun, { urls: options.turnUrls, username, credential }], expiresInMs: ttlMs }
    },
    ttlMs,
  }
}
