import type { SignalingErrorCode } from "@dunlin/core/signaling"

/**
 * What the host counts, as plain numbers: a metrics library's labelled counter costs more than forwarding a message. No
 * key of these maps comes from a client.
 */
export interface HostCounters {
  joins: Map<"joined" | "resumed" | SignalingErrorCode, number>
  messagesIn: number
  messagesOut: number
  bytesIn: number
  bytesOut: number
  forwards: number
  drops: Map<DropReason, number>
  rateLimited: Map<LimitScope, number>
  slowClosed: number
  authFailures: number
  blocks: number
  handlerErrors: number
}

export type DropReason = "gone" | "away" | "busy" | "not-joined" | "cluster"
export type LimitScope = "socket" | "room" | "address" | "process" | "turn"

export function createCounters(): HostCounters {
  return {
    joins: new Map(),
    messagesIn: 0,
    messagesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    forwards: 0,
    drops: new Map(),
    rateLimited: new Map(),
    slowClosed: 0,
    authFailures: 0,
    blocks: 0,
    handlerErrors: 0,
  }
}

export function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
