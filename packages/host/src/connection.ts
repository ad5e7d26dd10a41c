import type { Duplex } from "node:stream"
import type { Millis } from "@dunlin/core"
import { encodeHostMessage, type HostMessage, type UnreachableReason } from "@dunlin/core/signaling"
import type { WebSocket } from "ws"
import { bytesOfKey } from "./binary-key.ts"
import { count, type HostCounters } from "./host-counters.ts"
import type { IssuedIce } from "./ice-desk.ts"
import { mergeChanges, type PresenceChanges, presenceFrames } from "./presence-changes.ts"
import { signalFrame } from "./signal-frame.ts"
import type { TokenBucket } from "./token-bucket.ts"
import type { Member, Outlet } from "./topic-directory.ts"

/** What a channel of a socket is bound to. */
export interface Membership {
  readonly channel: number
  readonly member: Member
  /** When the token that admitted it expires, on the monotonic clock; null for never. */
  tokenExpiresAt: Millis | null
  /** Presence held back until the socket has read what was sent to it. */
  held: PresenceChanges | null
}

/** With more changes than this held back, the socket will not catch up. */
const MAX_HELD_CHANGES = 1024

/** One socket: what it has joined, what it may send, and what it has not read yet. */
export class Connection implements Outlet {
  readonly socket: WebSocket
  /** The client's address. Never logged. */
  readonly address: string
  /** The unit that limits per address count as one client. */
  readonly addressGroup: string
  readonly origin: string
  readonly memberships: Map<number, Membership> = new Map()
  /** Joins that await their authorization, by channel. */
  readonly pendingJoins: Map<number, AbortController> = new Map()
  /** Decisions on joins that are under way, including those that nobody awaits any more. */
  deciding = 0
  readonly messages: TokenBucket
  readonly bytes: TokenBucket
  readonly openedAt: Millis
  heardAt: Millis
  /** When the latest unanswered ping was sent. */
  pingedAt: Millis | null = null
  /** Since when the socket has had no membership. */
  idleSince: Millis
  /** Since when more than `slowBytes` has been buffered. */
  slowSince: Millis | null = null
  /** When the last error was answered: errors get an answer only so often. */
  complainedAt: Millis = Number.NEGATIVE_INFINITY
  everJoined = false
  /** The ICE servers last given, if their credentials expire. */
  ice: IssuedIce | null = null
  /** False once it is decided to end the socket: nothing it sends counts any more. */
  alive = true
  /** Whether its memberships end with it at once, without the grace time. */
  expelled = false
  readonly #stream: Duplex
  /** Signals of this turn of the event loop, to be sent together. */
  #gathered: Buffer[] = []
  readonly #counters: HostCounters
  readonly #slowBytes: number
  readonly #slowCloseBytes: number

  constructor(
    socket: WebSocket,
    /** The stream under the WebSocket, to which signals are written directly. */
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
    // What one read brings for this socket leaves it in one write: forwarding costs little besides system calls.
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
      detail: "this session was resumed on another socket",
    })
  }

  /**
   * Starts to close the socket. A client expelled for its behaviour leaves its topics at once, since others would bear
   * its grace time. Any other may come back within the grace time.
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
    // It may read again before it is closed, and should learn why.
    this.tell({
      type: "error",
      channel: 0,
      code: "slow-consumer",
      retryMs: 0,
      detail: "the client does not read what it is sent",
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
