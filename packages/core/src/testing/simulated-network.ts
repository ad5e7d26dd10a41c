import type { Millis } from "../ports/clock.ts"
import {
  type Lane,
  type Pipe,
  type PipeCloseReason,
  type PipeReceiver,
  TransportError,
} from "../ports/transport.ts"
import type { SeededRandom } from "./seeded-random.ts"
import type { SimulatedTime } from "./simulated-clock.ts"

/** The first or the second end of a connection. */
export type End = 0 | 1

/** The world of the connection, and how good the connection is at first. */
export interface SimulatedConnectionOptions {
  readonly time: SimulatedTime
  readonly random: SeededRandom
  /** How the ends call each other. */
  readonly names: readonly [string, string]
  /** Drawn for each message; messages stay in order. Default 5 to 40. */
  readonly latencyMs?: readonly [from: Millis, to: Millis]
  /** How fast messages leave; without it they leave at once. */
  readonly bytesPerMs?: number
  /** This many bytes of a lane wait in the network, where `buffered` does not see them. Default none. */
  readonly queueBytes?: number
  /** Default 65,536. */
  readonly maxMessageBytes?: number
  /** "fixed": the first end is the offerer. Default: the handshake decides. */
  readonly role?: "undecided" | "fixed"
}

/** A reliable connection between two ends of a simulated world, and what can go wrong with it. */
export interface SimulatedConnection {
  readonly ends: readonly [Pipe, Pipe]
  readonly isOpen: boolean
  /** Each end hears of it after its own delay, or never if that is null. What is under way is lost. */
  cut(noticeMs: readonly [Millis | null, Millis | null]): void
  /** While stalled, nothing that this end sent arrives. Nothing is lost: these are reliable pipes. */
  setStalled(from: End, stalled: boolean): void
  setBytesPerMs(from: End, bytesPerMs: number): void
  /** `tap` returns what arrives instead of each message of this end: nothing, other bytes, several messages. */
  setTap(from: End, tap: ((lane: Lane, message: Uint8Array) => readonly Uint8Array[]) | null): void
  /** Bytes that this end has sent so far. */
  sentBytes(from: End): number
}

interface Message {
  readonly lane: Lane
  readonly bytes: Uint8Array
}

const LOW_MARK_BYTES = 65_536
const LANES: readonly Lane[] = ["control", "bulk"]

/** An open connection in virtual time: the same seed and the same calls give the same deliveries. */
export function createSimulatedConnection(options: SimulatedConnectionOptions): SimulatedConnection {
  const { time, random, names, latencyMs = [5, 40], queueBytes = 0, maxMessageBytes = 65_536 } = options
  const receivers: [PipeReceiver | null, PipeReceiver | null] = [null, null]
  const early: readonly [Message[], Message[]] = [[], []]
  const heard: [PipeCloseReason | null, PipeCloseReason | null] = [null, null]
  let isOpen = true

  const deliver = (to: End, message: Message): void => {
    if (heard[to] !== null) return
    const receiver = receivers[to]
    if (receiver === null) early[to].push(message)
    else receiver.message(message.lane, message.bytes)
  }

  const wires = [0, 1].map((from) =>
    createWire({
      time,
      random,
      latencyMs,
      queueBytes,
      bytesPerMs: options.bytesPerMs ?? Number.POSITIVE_INFINITY,
      deliver: (message) => deliver((1 - from) as End, message),
      drained: (lane) => {
        if (heard[from as End] === null) receivers[from as End]?.drained(lane)
      },
    }),
  ) as unknown as readonly [Wire, Wire]

  const hear = (end: End, reason: PipeCloseReason): void => {
    if (heard[end] !== null) return
    heard[end] = reason
    receivers[end]?.closed(reason)
  }

  const stop = (): void => {
    isOpen = false
    for (const wire of wires) wire.stop()
  }

  const createEnd = (end: End): Pipe => ({
    path: "memory",
    role: options.role === "fixed" ? (end === 0 ? "offerer" : "answerer") : "undecided",
    binding: null,
    maxMessageBytes,
    remote: names[1 - end] as string,
    open(receiver) {
      receivers[end] = receiver
      for (const { lane, bytes } of early[end].splice(0)) receiver.message(lane, bytes)
      const reason = heard[end]
      if (reason !== null) receiver.closed(reason)
    },
    send(lane, bytes) {
      if (heard[end] !== null) throw new TransportError("pipe-closed", "This pipe is closed.")
      if (bytes.length > maxMessageBytes) {
        throw new TransportError("message-too-large", `At most ${maxMessageBytes} bytes; split the message.`)
      }
      // An end that has not heard of a cut goes on sending into the void.
      if (isOpen) wires[end].send({ lane, bytes: bytes.slice() })
    },
    buffered: (lane) => wires[end].buffered(lane),
    close() {
      if (heard[end] !== null) return
      hear(end, "local")
      if (!isOpen) return
      stop()
      time.schedule(random.between(...latencyMs), () => hear((1 - end) as End, "remote"))
    },
  })

  return {
    ends: [createEnd(0), createEnd(1)],
    get isOpen() {
      return isOpen
    },
    cut(noticeMs) {
      if (!isOpen) return
      stop()
      for (const end of [0, 1] as const) {
        const delayMs = noticeMs[end]
        if (delayMs !== null) time.schedule(delayMs, () => hear(end, "failed"))
      }
    },
    setStalled: (from, stalled) => wires[from].setStalled(stalled),
    setBytesPerMs: (from, bytesPerMs) => wires[from].setBytesPerMs(bytesPerMs),
    setTap: (from, tap) => wires[from].setTap(tap),
    sentBytes: (from) => wires[from].sentBytes,
  }
}

interface WireOptions {
  readonly time: SimulatedTime
  readonly random: SeededRandom
  readonly latencyMs: readonly [Millis, Millis]
  readonly bytesPerMs: number
  readonly queueBytes: number
  readonly deliver: (message: Message) => void
  readonly drained: (lane: Lane) => void
}

/** One direction: two lanes, each in order. */
interface Wire {
  readonly sentBytes: number
  send(message: Message): void
  buffered(lane: Lane): number
  setStalled(stalled: boolean): void
  setBytesPerMs(bytesPerMs: number): void
  setTap(tap: ((lane: Lane, message: Uint8Array) => readonly Uint8Array[]) | null): void
  stop(): void
}

interface LaneState {
  waiting: Message[]
  buffered: number
  /** The first of those waiting is being sent. */
  leaving: { readonly since: Millis; readonly bytes: number; readonly cancel: () => void } | null
  lastArrival: Millis
}

function createWire({
  time,
  random,
  latencyMs,
  queueBytes,
  deliver,
  drained,
  ...options
}: WireOptions): Wire {
  const lanes = new Map<Lane, LaneState>(
    LANES.map((lane) => [lane, { waiting: [], buffered: 0, leaving: null, lastArrival: 0 }]),
  )
  let bytesPerMs = options.bytesPerMs
  let stalled = false
  let stopped = false
  let heldBack: Message[] = []
  let tap: ((lane: Lane, message: Uint8Array) => readonly Uint8Array[]) | null = null
  let sentBytes = 0

  const visible = ({ buffered }: LaneState): number => Math.max(0, buffered - queueBytes)

  const arrive = (message: Message): void => {
    if (stopped) return
    if (stalled) {
      heldBack.push(message)
      return
    }
    for (const bytes of tap?.(message.lane, message.bytes) ?? [message.bytes]) {
      if (!stopped) deliver({ lane: message.lane, bytes })
    }
  }

  const depart = (lane: LaneState, message: Message): void => {
    sentBytes += message.bytes.length
    lane.lastArrival = Math.max(lane.lastArrival, time.now + random.between(...latencyMs))
    time.scheduleAt(lane.lastArrival, () => arrive(message))
  }

  const leaveNext = (lane: LaneState): void => {
    const next = lane.waiting[0]
    if (next === undefined || lane.leaving !== null || stalled || stopped) return
    leaveWithin(lane, next, next.bytes.length)
  }

  const leaveWithin = (lane: LaneState, next: Message, bytes: number): void => {
    const cancel = time.schedule(bytes / bytesPerMs, () => {
      lane.leaving = null
      if (stopped) return
      lane.waiting.shift()
      const wasHigh = visible(lane) >= LOW_MARK_BYTES
      lane.buffered -= next.bytes.length
      depart(lane, next)
      if (wasHigh && visible(lane) < LOW_MARK_BYTES) drained(next.lane)
      leaveNext(lane)
    })
    lane.leaving = { since: time.now, bytes, cancel }
  }

  return {
    get sentBytes() {
      return sentBytes
    },
    send(message) {
      const lane = lanes.get(message.lane) as LaneState
      if (bytesPerMs === Number.POSITIVE_INFINITY && !stalled && lane.waiting.length === 0) {
        depart(lane, message)
        return
      }
      lane.waiting.push(message)
      lane.buffered += message.bytes.length
      leaveNext(lane)
    },
    buffered: (name) => visible(lanes.get(name) as LaneState),
    setStalled(next) {
      stalled = next
      if (stalled) return
      for (const message of heldBack.splice(0)) arrive(message)
      for (const lane of lanes.values()) leaveNext(lane)
    },
    setBytesPerMs(next) {
      const before = bytesPerMs
      bytesPerMs = next
      // A half-sent message goes on at the new speed: a large one must not stay slow once the network is fast again.
      for (const lane of lanes.values()) {
        const [first] = lane.waiting
        if (lane.leaving === null || first === undefined) continue
        const { since, bytes, cancel } = lane.leaving
        cancel()
        const leftBytes = bytes - (time.now - since) * before
        leaveWithin(lane, first, Math.max(0, before === Number.POSITIVE_INFINITY ? 0 : leftBytes))
      }
    },
    setTap(next) {
      tap = next
    },
    stop() {
      stopped = true
      heldBack = []
      for (const lane of lanes.values()) lane.waiting = []
    },
  }
}
