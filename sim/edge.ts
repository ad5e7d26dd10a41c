import type { Lane, Pipe } from "@dunlin/core"
import {
  createSimulatedConnection,
  decodeMessage,
  type End,
  type SeededRandom,
  type SecureLink,
  type SimulatedConnection,
} from "@dunlin/core/testing"
import type { Device, Process, World } from "./device.ts"
import type { GarbageKind } from "./scenario.ts"

/** Two devices that connect whenever both run, and what goes wrong between them. */
export interface Edge {
  readonly ends: readonly [Device, Device]
  /** Connects now if both run and nothing forbids it. */
  dial(): void
  cut(noticeMs: readonly [number | null, number | null], backAfterMs: number): void
  /** The process at this end is gone; the other end hears of it after `noticeMs`, or only by silence. */
  lost(end: End, noticeMs: number | null): void
  setStalled(from: End | "both", stalled: boolean): void
  setBytesPerMs(from: End, bytesPerMs: number): void
  setDuplicationRate(rate: number): void
  sendGarbage(from: End, kind: GarbageKind): void
  /** Whether garbage went over a link of this session. */
  isTainted(session: string): boolean
  /** Ends links that garbage has touched, so that honest ones remain. */
  cleanse(): void
  heal(): void
}

/** Sees every message on its way. */
export interface EdgeEvents {
  /** A message arrives at the device; `order` counts messages of the whole world as they were sent. */
  arrived(at: Device, from: Device, lane: Lane, message: Uint8Array, order: number): void
  /** A message leaves; returns its `order`. */
  sent(message: Uint8Array): number
}

const REPEATABLE = new Set(["have", "root", "links", "want", "offer", "range", "ping", "pong", "presence"])
const PAYLOAD = new Set(["data", "push", "chunk", "fragment"])
/** More than this waiting in one lane means that a sender does not hold back. */
const MAX_BUFFERED_BYTES = 4_194_304

export function createEdge(
  world: World,
  index: number,
  ends: readonly [Device, Device],
  events: EdgeEvents,
): Edge {
  const { time, faults } = world
  const random = world.random.fork(`edge/${index}`)
  const orders: Record<Lane, number[]>[] = [
    { control: [], bulk: [] },
    { control: [], bulk: [] },
  ]
  const tainted = new Set<string>()
  let connection: SimulatedConnection | null = null
  let blockedUntil = 0
  let connections = 0
  const stalled: [boolean, boolean] = [false, false]
  const bytesPerMs: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  let duplicationRate = 0

  const arriving = (
    from: End,
    chance: SeededRandom,
    lane: Lane,
    message: Uint8Array,
  ): readonly Uint8Array[] => {
    const order = (orders[from] as Record<Lane, number[]>)[lane].shift() ?? 0
    const receiver = ends[1 - from] as Device
    events.arrived(receiver, ends[from], lane, message, order)
    if (duplicationRate > 0 && chance.chance(duplicationRate) && isRepeatable(message)) {
      faults.count("duplicated-message")
      return [message, message]
    }
    return [message]
  }

  const attach = (end: End, process: Process, other: Process, over: SimulatedConnection): void => {
    const device = ends[end]
    const pipe = over.ends[end]
    // A handshake over a broken connection never ends, and a process that left during it is told nothing of the connection.
    if (!over.isOpen || !process.alive || device.process !== process) {
      pipe.close()
      ended(over)
      return
    }
    const input = process.engine.addLink(linkOver(pipe, end, other))
    const ifAlive = <A extends unknown[]>(deliver: (...args: A) => void) => {
      return (...args: A): void => {
        if (process.alive) deliver(...args)
      }
    }
    pipe.open({
      message: ifAlive((lane, bytes) => input.message(lane, bytes)),
      drained: ifAlive((lane) => input.drained(lane)),
      closed: ifAlive((reason) => {
        input.closed(reason)
        if (connection === over) ended(over)
      }),
    })
  }

  const linkOver = (pipe: Pipe, end: End, other: Process): SecureLink => ({
    session: other.session,
    device: (ends[1 - end] as Device).key,
    role: world.bug?.ignoresRoles === true ? "writer" : (ends[1 - end] as Device).plan.role,
    maxMessageBytes: pipe.maxMessageBytes,
    send(lane, message) {
      ;(orders[end] as Record<Lane, number[]>)[lane].push(events.sent(message))
      try {
        pipe.send(lane, message)
      } catch {
        // The link is dead, and its end was told or will be.
      }
      if (pipe.buffered(lane) > MAX_BUFFERED_BYTES)
        world.fail(`${pipe.buffered(lane)} bytes wait in one lane`)
    },
    buffered: (lane) => pipe.buffered(lane),
    close(reason) {
      world.trace(`${ends[end].index} ends its link to ${other.session.slice(0, 6)}: ${reason}`)
      pipe.close()
    },
  })

  /** One end heard that the connection is over: look for a new one. */
  const ended = (over: SimulatedConnection): void => {
    if (connection !== over) return
    connection = null
    time.schedule(random.between(200, 1_500), self.dial)
  }

  const dropConnection = (noticeMs: readonly [number | null, number | null]): void => {
    const dropped = connection
    if (dropped === null) return
    connection = null
    faults.count(noticeMs.includes(null) ? "link-lost-silently" : "link-lost")
    dropped.cut(noticeMs)
  }

  const self: Edge = {
    ends,
    dial() {
      const [first, second] = [ends[0].process, ends[1].process]
      if (connection !== null || first === null || second === null || time.now < blockedUntil) return
      const chance = random.fork(`connection/${connections++}`)
      const slowest = chance.chance(world.scenario.slowLinkRate) ? 900 : 60
      const latencyMs = [1 + chance.below(10), 12 + chance.below(slowest)] as const
      if (latencyMs[1] > 200) faults.count("delayed-message")
      const opened = createSimulatedConnection({
        time,
        random: chance,
        names: [first.session, second.session],
        latencyMs,
        maxMessageBytes: chance.chance(0.2) ? 16_384 : 65_536,
      })
      connection = opened
      orders[0] = { control: [], bulk: [] }
      orders[1] = { control: [], bulk: [] }
      world.trace(`${ends[0].index} and ${ends[1].index} connect, ${latencyMs.join("–")} ms`)
      const taps = chance.fork("taps")
      for (const from of [0, 1] as const) {
        opened.setTap(from, (lane, message) => arriving(from, taps, lane, message))
        opened.setStalled(from, stalled[from])
        opened.setBytesPerMs(from, bytesPerMs[from])
      }
      // The two sides finish the handshake one after the other.
      time.schedule(chance.between(5, 60), () => attach(0, first, second, opened))
      time.schedule(chance.between(5, 60), () => attach(1, second, first, opened))
    },
    cut(noticeMs, backAfterMs) {
      blockedUntil = time.now + backAfterMs
      if (connection !== null) world.trace(`${ends[0].index} and ${ends[1].index} lose their link`)
      dropConnection(noticeMs)
      time.schedule(backAfterMs, self.dial)
    },
    lost(end, noticeMs) {
      dropConnection(end === 0 ? [null, noticeMs] : [noticeMs, null])
    },
    setStalled(from, isStalled) {
      for (const end of [0, 1] as const) {
        if (from !== "both" && from !== end) continue
        stalled[end] = isStalled
        connection?.setStalled(end, isStalled)
      }
    },
    setBytesPerMs(from, rate) {
      bytesPerMs[from] = rate
      connection?.setBytesPerMs(from, rate)
    },
    setDuplicationRate(rate) {
      duplicationRate = rate
    },
    sendGarbage(from, kind) {
      const over = connection
      const sessions = ends.map(({ process }) => process?.session)
      if (over === null) return
      const chance = random.fork(`garbage/${time.now}`)
      const spoil = (lane: Lane, message: Uint8Array): readonly Uint8Array[] => {
        const garbage = garbageOf(kind, message, chance)
        const usual = arriving(from, chance, lane, message)
        if (garbage === null) return usual
        faults.count("garbage")
        world.trace(`${ends[from].index} sends garbage: ${kind}`)
        for (const session of sessions) if (session !== undefined) tainted.add(session)
        over.setTap(from, (nextLane, next) => arriving(from, chance, nextLane, next))
        return kind === "spoilt-chunk" ? [garbage] : [garbage, ...usual]
      }
      over.setTap(from, spoil)
    },
    isTainted: (session) => tainted.has(session),
    cleanse() {
      if (tainted.size > 0) dropConnection([0, 0])
    },
    heal() {
      blockedUntil = 0
      duplicationRate = 0
      const healed = random.fork(`healed/${time.now}`)
      // Garbage that still waits for a suitable message is not sent any more.
      for (const from of [0, 1] as const)
        connection?.setTap(from, (lane, message) => arriving(from, healed, lane, message))
      self.setStalled("both", false)
      for (const end of [0, 1] as const) self.setBytesPerMs(end, Number.POSITIVE_INFINITY)
      self.dial()
    },
  }
  return self
}

/** The device at the other end; null if this one is at neither. */
export function otherEnd({ ends: [first, second] }: Pick<Edge, "ends">, device: Device): Device | null {
  if (device === first) return second
  return device === second ? first : null
}

function isRepeatable(message: Uint8Array): boolean {
  return decodeMessage(message).every(({ frame }) => REPEATABLE.has(frame.type))
}

/**
 * What a broken or hostile peer might send instead; null if this message is not suitable. Never a payload: a member of
 * the room may write whatever it likes, and a forged write is a write.
 */
function garbageOf(kind: GarbageKind, message: Uint8Array, random: SeededRandom): Uint8Array | null {
  if (kind === "noise") return random.bytes(1 + random.below(300))
  if (kind === "spoilt-chunk") return withSpoiltChunk(message)
  if (decodeMessage(message).some(({ frame }) => PAYLOAD.has(frame.type))) return null
  if (kind === "truncated") return message.slice(0, random.below(message.length))
  const mutated = message.slice()
  for (let count = 1 + random.below(4); count > 0; count--)
    mutated[random.below(mutated.length)] = random.below(256)
  try {
    return decodeMessage(mutated).some(({ frame }) => PAYLOAD.has(frame.type)) ? null : mutated
  } catch {
    return mutated
  }
}

/** The message with one byte of a chunk changed; null if it carries no chunk. */
function withSpoiltChunk(message: Uint8Array): Uint8Array | null {
  const chunk = decodeMessage(message).find(
    ({ frame }) => frame.type === "chunk" && frame.bytes.length > 0,
  )?.frame
  if (chunk?.type !== "chunk") return null
  const spoilt = message.slice()
  const at = Buffer.from(message.buffer, message.byteOffset, message.length).indexOf(chunk.bytes)
  spoilt[at] = (spoilt[at] ?? 0) ^ 0xff
  return spoilt
}
