import type { Duplex } from "node:stream"
import type { Millis } from "@dunlin/core"
import {
  encodeHostMessage,
  type HostMessage,
  type IceConfiguration,
  type UnreachableReason,
} from "@dunlin/core/signaling"
import type { WebSocket } from "ws"
import { bytesOfKey } from "./binary-key.ts"
import { count, type HostCounters } from "./host-counters.ts"
import { mergeChanges, type PresenceChanges, presenceFrames } from "./presence-changes.ts"
import { signalFrame } from "./signal-frame.ts"
import type { TokenBucket } from "./token-bucket.ts"
import type { Member, Outlet } from "./topic-directory.ts"

/** What a channel of a socket stands for. */
export interface Membership {
  readonly channel: number
  readonly member: Member
  /** When the token that let it in runs out, on the monotonic clock; null for never. */
  tokenExpiresAt: Millis | null
  /** Presence that waits until the socket has read what it was sent. */
  held: PresenceChanges | null
}

/** More than this many changes held back: the socket will not catch up. */
const MAX_HELD_CHANGES = 1024

/** One socket: what it has joined, what it may send, and what it has not read yet. */
export class Connection implements Outlet {
  readonly socket: WebSocket
  /** The client's address. Never logged. */
  readonly address: string
  /** What limits per address count as one. */
  readonly addressGroup: string
  readonly origin: string
  readonly memberships: Map<number, Membership> = new Map()
  /** Joins that wait for their authorization, by channel. */
  readonly pendingJoins: Map<number, AbortController> = new Map()
  /** Decisions on joins that are under way, those included for which nobody waits any more. */
  deciding = 0
  readonly messages: TokenBucket
  readonly bytes: TokenBucket
  readonly openedAt: Millis
  heardAt: Millis
  /** When the last ping was sent that has not been answered. */
  pingedAt: Millis | null = null
  /** Since when there has been no membership. */
  idleSince: Millis
  /** Since when more is buffered than a reading client would leave. */
  slowSince: Millis | null = null
  /** Errors are answered, but not more often than this lets them. */
  complainedAt: Millis = Number.NEGATIVE_INFINITY
  everJoined = false
  /** The credentials it has, when they are such that expire. */
  ice: { readonly configuration: IceConfiguration; readonly expiresAt: Millis } | null = null
  iceRequests: TokenBucket | null = null
  /** False from the moment in which it was decided to end the socket: nothing it sends counts any more. */
  alive = true
  /** Whether its memberships end with it, without a grace. */
  expelled = false
  readonly #stream: Duplex
  /** Signals of this moment, which leave together. */
  #gathered: Buffer[] = []
  readonly #counters: HostCounters
  readonly #slowBytes: number
  readonly #slowCloseBytes: number

  constructor(
    socket: WebSocket,
    /** What the socket speaks through. */
    stream: Duplex,
    client: {
      readonly address: string
      readonly addressGroup: string
      readonly origin: string
      readonly messages: TokenBucket
      readonly bytes: TokenBucket
      readonly now: Millis
      readonly slowBytes: number
      readonly slowCloseBytes: number
      readonly counters: HostCounters
    },
  ) {
    this.socket = socket
    this.#stream = stream
    this.address = client.address
    this.addressGroup = client.addressGroup
    this.origin = client.origin
    this.messages = client.messages
    this.bytes = client.bytes
    this.openedAt = client.now
    this.heardAt = client.now
    this.idleSince = client.now
    this.#slowBytes = client.slowBytes
    this.#slowCloseBytes = client.slowCloseBytes
    this.#counters = client.counters
  }

  get bufferedBytes(): number {
    return this.socket.bufferedAmount
  }

  send(frame: Uint8Array): void {
    if (this.socket.readyState !== this.socket.OPEN) return
    this.#counters.messagesOut += 1
    this.#counters.bytesOut += frame.length
    this.#flush()
    this.socket.send(frame)
  }

  tell(message: HostMessage): void {
    this.send(encodeHostMessage(message))
  }

  signal(channel: number, from: string, blob: Uint8Array): boolean {
    if (!this.alive || this.socket.readyState !== this.socket.OPEN) return false
    if (this.bufferedBytes > this.#slowCloseBytes) {
      this.endSlow()
      return false
    }
    const { bytes, payloadBytes } = signalFrame(channel, from, blob)
    this.#counters.messagesOut += 1
    this.#counters.bytesOut += payloadBytes
    // What one read brings for this socket leaves it in one write: a forward costs little else than system calls.
    if (this.#gathered.push(bytes) === 1) process.nextTick(() => this.#flush())
    return true
  }

  #flush(): void {
    const [first, second] = this.#gathered
    if (first === undefined) return
    const bytes = second === undefined ? first : Buffer.concat(this.#gathered)
    this.#gathered = []
    if (this.socket.readyState === this.socket.OPEN) this.#stream.write(bytes)
  }

  unreachable(channel: number, peer: string, reason: UnreachableReason): void {
    count(this.#counters.drops, reason)
    this.tell({ type: "unreachable", channel, peer: bytesOfKey(peer), reason })
  }

  presence(member: Member, changes: PresenceChanges): void {
    const membership = this.#membershipOf(member)
    if (membership === undefined) return
    if (membership.held !== null || this.bufferedBytes > this.#slowBytes) {
      membership.held ??= new Map()
      mergeChanges(membership.held, changes)
      if (membership.held.size > MAX_HELD_CHANGES) this.endSlow()
      return
    }
    for (const frame of presenceFrames(changes, membership.channel, member.peer)) this.send(frame)
  }

  /** Sends the presence that was held back, once the socket reads again. */
  releasePresence(): void {
    if (this.bufferedBytes > this.#slowBytes) return
    for (const membership of this.memberships.values()) {
      const { held } = membership
      if (held === null) continue
      membership.held = null
      for (const frame of presenceFrames(held, membership.channel, membership.member.peer)) this.send(frame)
    }
  }

  dispossessed(member: Member, channel: number): void {
    if (this.memberships.get(channel)?.member !== member) return
    this.memberships.delete(channel)
    this.idleSince = this.heardAt
    this.tell({
      type: "error",
      channel,
      code: "replaced",
      retryMs: 0,
      detail: "this session was taken up again on another socket",
    })
  }

  /**
   * Begins the end of the socket. Who is thrown out for its behaviour leaves its topics at once: its grace would be
   * the others' burden. Anyone else may come back within the grace.
   */
  end(closeCode: number, reason: string, fate: "expelled" | "may-return"): void {
    if (!this.alive) return
    this.alive = false
    this.expelled = fate === "expelled"
    this.#flush()
    this.socket.close(closeCode, reason)
  }

  endSlow(): void {
    if (!this.alive) return
    this.#counters.slowClosed += 1
    // It may read again in the time it has for closing, and should know what it did.
    this.tell({
      type: "error",
      channel: 0,
      code: "slow-consumer",
      retryMs: 0,
      detail: "what was sent to this socket was not read",
    })
    this.end(1013, "slow consumer", "may-return")
  }

  #membershipOf(member: Member): Membership | undefined {
    const { place } = member
    if (place.type !== "here") return undefined
    const membership = this.memberships.get(place.channel)
    return membership?.member === member ? membership : undefined
  }
}
