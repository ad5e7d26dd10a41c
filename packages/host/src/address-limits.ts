import type { Millis } from "@dunlin/core"
import { type BucketRate, createBucket, draw, isFull, type TokenBucket } from "./token-bucket.ts"

export type Admission = "admitted" | "too-fast" | "too-many" | "blocked"

/** What one address, or one IPv6 network, may do. */
export interface AddressLimits {
  /** Every "admitted" must be followed by one call of `closed`. */
  open(group: string, now: Millis): Admission
  closed(group: string, now: Millis): void
  /** Counts a failed join, or bytes that no honest client sends. True when this has blocked the address. */
  failed(group: string, now: Millis): boolean
  /** Milliseconds for which the address is still blocked, or 0. */
  blockedFor(group: string, now: Millis): Millis
  /** Forgets addresses that no longer differ from new ones. Call it every few seconds. */
  sweep(now: Millis): void
  /** Addresses held in memory. */
  readonly size: number
}

interface AddressEntry {
  open: number
  readonly connections: TokenBucket
  readonly failures: TokenBucket
  blockedUntil: Millis
}

/** How many addresses without a connection are remembered, for their rate or their block; the oldest goes first. */
const MAX_IDLE_ADDRESSES = 50_000

export function createAddressLimits(limits: {
  readonly addressConnectionsPerSecond: number
  readonly addressConnectionBurst: number
  readonly addressMaxConnections: number
  readonly addressFailedJoinsPerMinute: number
  readonly addressBlockMs: number
}): AddressLimits {
  const connectionRate: BucketRate = {
    perSecond: limits.addressConnectionsPerSecond,
    burst: limits.addressConnectionBurst,
  }
  const failureRate: BucketRate = {
    perSecond: limits.addressFailedJoinsPerMinute / 60,
    burst: limits.addressFailedJoinsPerMinute,
  }
  // The sockets' limit bounds the addresses that have a connection; MAX_IDLE_ADDRESSES bounds the others.
  const busy = new Map<string, AddressEntry>()
  const idle = new Map<string, AddressEntry>()

  const find = (group: string): AddressEntry | undefined => busy.get(group) ?? idle.get(group)

  const rest = (group: string, entry: AddressEntry): void => {
    busy.delete(group)
    idle.delete(group)
    idle.set(group, entry)
    if (idle.size <= MAX_IDLE_ADDRESSES) return
    const oldest = idle.keys().next()
    if (oldest.done !== true) idle.delete(oldest.value)
  }

  const findOrCreate = (group: string, now: Millis): AddressEntry => {
    const known = find(group)
    if (known !== undefined) return known
    const entry: AddressEntry = {
      open: 0,
      connections: createBucket(connectionRate, now),
      failures: createBucket(failureRate, now),
      blockedUntil: 0,
    }
    rest(group, entry)
    return entry
  }

  return {
    open(group, now) {
      const entry = findOrCreate(group, now)
      if (entry.blockedUntil > now) return "blocked"
      if (entry.open >= limits.addressMaxConnections) return "too-many"
      if (!draw(entry.connections, connectionRate, 1, now)) return "too-fast"
      entry.open += 1
      idle.delete(group)
      busy.set(group, entry)
      return "admitted"
    },
    closed(group) {
      const entry = busy.get(group)
      if (entry === undefined) return
      entry.open -= 1
      if (entry.open === 0) rest(group, entry)
    },
    failed(group, now) {
      if (limits.addressBlockMs === 0) return false
      const entry = findOrCreate(group, now)
      if (draw(entry.failures, failureRate, 1, now) || entry.blockedUntil > now) return false
      entry.blockedUntil = now + limits.addressBlockMs
      return true
    },
    blockedFor: (group, now) => Math.max(0, (find(group)?.blockedUntil ?? 0) - now),
    sweep(now) {
      for (const [group, entry] of idle) {
        if (entry.blockedUntil > now) continue
        if (isFull(entry.connections, connectionRate, now) && isFull(entry.failures, failureRate, now)) {
          idle.delete(group)
        }
      }
    },
    get size() {
      return busy.size + idle.size
    },
  }
}
