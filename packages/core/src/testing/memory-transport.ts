import type { Clock } from "../ports/clock.ts"
import {
  type Lane,
  type PathKind,
  type Pipe,
  type PipeCloseReason,
  type PipeReceiver,
  type Transport,
  TransportError,
  type TransportHost,
} from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"

/** A network inside one process: rooms of the same topic that use its transport meet, as they would by WebRTC. */
export interface MemoryNetwork {
  transport(options?: MemoryTransportOptions): Transport
  /** Ends every connection there is, as if a cable was cut for a moment. */
  cutAll(): void
}

/** What the connections of one member look like to its own room. */
export interface MemoryTransportOptions {
  /** Default "memory". */
  readonly path?: PathKind
  /** With certificates, as if encrypted end to end. If either side has none, the record layer is used. Default true. */
  readonly bound?: boolean
  /** Until a message arrives. Default 0, which still means a later task. */
  readonly latencyMs?: number
  /** Default 262,144. */
  readonly maxMessageBytes?: number
}

interface Member {
  readonly host: TransportHost
  readonly options: Required<MemoryTransportOptions>
  /** By peer id of the other, hex. */
  readonly endsByPeer: Map<string, MemoryEnd>
}

const LOW_BYTES = 256 * 1024

/** An empty network, separate from every other. Its connections use the clocks of the rooms. */
export function createMemoryNetwork(): MemoryNetwork {
  const membersByTopic = new Map<string, Map<string, Member>>()

  function meet(a: Member, b: Member): void {
    const [aId, bId] = [bytesToHex(a.host.peerId), bytesToHex(b.host.peerId)]
    if (a.endsByPeer.has(bId) || !a.host.wantsLinks() || !b.host.wantsLinks()) return
    const [left, right] = createPipePair(a, b)
    a.endsByPeer.set(bId, left)
    b.endsByPeer.set(aId, right)
    left.whenClosed(() => a.endsByPeer.delete(bId))
    right.whenClosed(() => b.endsByPeer.delete(aId))
    a.host.connected(left.pipe)
    b.host.connected(right.pipe)
  }

  return {
    transport: (given = {}) => ({
      name: "memory",
      start(host) {
        const options = {
          path: "memory",
          bound: true,
          latencyMs: 0,
          maxMessageBytes: 262_144,
          ...given,
        } as const
        const topic = bytesToHex(host.credentials.topic)
        const members = membersByTopic.get(topic) ?? new Map<string, Member>()
        membersByTopic.set(topic, members)
        const self: Member = { host, options, endsByPeer: new Map() }
        const id = bytesToHex(host.peerId)
        members.set(id, self)
        const meetAll = (): void => {
          for (const other of members.values()) if (other !== self) meet(self, other)
        }
        const cancel = host.clock.after(0, meetAll)
        return {
          reconnect: meetAll,
          async stop() {
            cancel()
            members.delete(id)
            if (members.size === 0) membersByTopic.delete(topic)
          },
        }
      },
    }),
    cutAll() {
      for (const members of membersByTopic.values()) {
        for (const { endsByPeer } of members.values()) {
          for (const end of [...endsByPeer.values()]) end.fail()
        }
      }
    },
  }
}

interface MemoryEnd {
  readonly pipe: Pipe
  fail(): void
  whenClosed(listener: () => void): void
}

function createPipePair(a: Member, b: Member): readonly [MemoryEnd, MemoryEnd] {
  const prints = [a, b].map(({ host }) => host.random.bytes(32)) as [Uint8Array, Uint8Array]
  const left: MemoryEndState = createEnd(a, b, [prints[0], prints[1]], () => right)
  const right: MemoryEndState = createEnd(b, a, [prints[1], prints[0]], () => left)
  return [left, right]
}

interface MemoryEndState extends MemoryEnd {
  arrive(lane: Lane, bytes: Uint8Array): void
  closeFrom(reason: PipeCloseReason): void
}

function createEnd(
  { host, options }: Member,
  remote: Member,
  [local, remotePrint]: readonly [Uint8Array, Uint8Array],
  other: () => MemoryEndState,
): MemoryEndState {
  const { clock }: { clock: Clock } = host
  const bound = options.bound && remote.options.bound
  const buffered = { control: 0, bulk: 0 }
  let receiver: PipeReceiver | null = null
  let closedBy: PipeCloseReason | null = null
  let early: { readonly lane: Lane; readonly bytes: Uint8Array }[] = []
  const listeners: (() => void)[] = []

  const closeFrom = (reason: PipeCloseReason): void => {
    if (closedBy !== null) return
    closedBy = reason
    early = []
    for (const listener of listeners) listener()
    receiver?.closed(reason)
  }
  const end = (reason: PipeCloseReason): void => {
    if (closedBy !== null) return
    closeFrom(reason)
    clock.after(options.latencyMs, () => other().closeFrom(reason === "local" ? "remote" : reason))
  }

  return {
    pipe: {
      path: options.path,
      role: bound
        ? bytesToHex(host.peerId) < bytesToHex(remote.host.peerId)
          ? "offerer"
          : "answerer"
        : "undecided",
      binding: bound ? { local, remote: remotePrint } : null,
      maxMessageBytes: options.maxMessageBytes,
      remote: bytesToHex(remote.host.peerId).slice(0, 8),
      open(given) {
        if (closedBy !== null) return given.closed(closedBy)
        receiver = given
        for (const { lane, bytes } of early.splice(0)) given.message(lane, bytes)
      },
      send(lane, message) {
        if (closedBy !== null) throw new TransportError("pipe-closed", "This connection is closed.")
        if (message.length > options.maxMessageBytes) {
          throw new TransportError("message-too-large", `${message.length} bytes`)
        }
        const copy = message.slice()
        buffered[lane] += copy.length
        clock.after(options.latencyMs, () => {
          buffered[lane] -= copy.length
          other().arrive(lane, copy)
          if (closedBy === null && buffered[lane] <= LOW_BYTES) receiver?.drained(lane)
        })
      },
      buffered: (lane) => buffered[lane],
      close: () => end("local"),
    },
    arrive(lane, bytes) {
      if (closedBy !== null) return
      if (receiver === null) early.push({ lane, bytes })
      else receiver.message(lane, bytes)
    },
    closeFrom,
    fail: () => end("failed"),
    whenClosed: (listener) => void listeners.push(listener),
  }
}
