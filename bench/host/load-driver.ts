import { randomBytes } from "node:crypto"
import { setTimeout as pause } from "node:timers/promises"
import type { WebSocket } from "ws"
import { dialects, ENVELOPE_BYTES, type Member, type ServerKind } from "./dialects.ts"
import { quantile } from "../quantile.ts"

export interface Target {
  readonly kind: ServerKind
  readonly url: string
}

export interface JoinFigures {
  readonly joinsPerSecond: number
}

/** Connects and joins as fast as possible, two to a room; each join is timed from the start of its connection. */
export async function measureJoins({ kind, url, count }: Target & { count: number }): Promise<JoinFigures> {
  const members: Member[] = []
  const started = performance.now()
  let next = 0
  let room = randomBytes(32)
  const worker = async (): Promise<void> => {
    while (next < count) {
      if (next++ % 2 === 0) room = randomBytes(32)
      members.push(await dialects[kind].join(url, room))
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  const elapsedMs = performance.now() - started
  await closeAll(members)
  return { joinsPerSecond: (count / elapsedMs) * 1000 }
}

const idle: Member[] = []

/** Opens sockets that stay open and say nothing, until `releaseIdle`. */
export async function openIdle({ kind, url, count }: Target & { count: number }): Promise<void> {
  let next = 0
  let room = randomBytes(32)
  const worker = async (): Promise<void> => {
    while (next < count) {
      if (next++ % 2 === 0) room = randomBytes(32)
      idle.push(await dialects[kind].join(url, room))
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
}

export async function releaseIdle(): Promise<void> {
  await closeAll(idle.splice(0))
}

export interface ForwardFigures {
  readonly forwardsPerSecond: number
  /** Everything that came through, including the warm-up: what the server spent its processor time on. */
  readonly allForwards: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

interface Lane {
  readonly from: WebSocket
  readonly frame: Uint8Array | string
  /** When each frame still in flight was sent; a lane keeps its order. */
  readonly sentAt: number[]
}

/**
 * Pairs that exchange envelopes. With `perSecond`, they send at that rate whatever comes back. Without it, each pair
 * keeps a window of frames in flight, which shows the maximum throughput.
 */
export async function measureForwards({
  kind,
  url,
  receiverUrl = url,
  pairs,
  seconds,
  perSecond = null,
}: Target & {
  /** Where the receivers connect, if that is another host of the cluster. */
  receiverUrl?: string
  pairs: number
  seconds: number
  perSecond?: number | null
}): Promise<ForwardFigures> {
  const dialect = dialects[kind]
  const members: Member[] = []
  const lanes: Lane[] = []
  const latencies: number[] = []
  let measuring = false
  let forwards = 0
  let allForwards = 0
  const send = (lane: Lane): void => {
    lane.sentAt.push(performance.now())
    lane.from.send(lane.frame)
  }
  for (let pair = 0; pair < pairs; pair++) {
    const room = randomBytes(32)
    const [from, to] = [await dialect.join(url, room), await dialect.join(receiverUrl, room)]
    members.push(from, to)
    const lane: Lane = {
      from: from.socket,
      frame: dialect.envelope(from, to, room, ENVELOPE_BYTES),
      sentAt: [],
    }
    lanes.push(lane)
    to.socket.on("message", (data: Buffer) => {
      if (data.length < ENVELOPE_BYTES) return
      const sentAt = lane.sentAt.shift()
      allForwards += 1
      if (measuring && sentAt !== undefined) {
        forwards += 1
        latencies.push(performance.now() - sentAt)
      }
      if (perSecond === null) send(lane)
    })
  }
  // The hosts of a cluster have to tell each other who is where; until then a signal would find nobody.
  if (receiverUrl !== url) await pause(1000)
  if (perSecond === null) for (const lane of lanes) for (let index = 0; index < 16; index++) send(lane)
  const pacing = perSecond === null ? null : startPacing(lanes, perSecond, send)
  await pause(1000)
  measuring = true
  const started = performance.now()
  await pause(seconds * 1000)
  measuring = false
  const elapsedMs = performance.now() - started
  pacing?.()
  await closeAll(members)
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    allForwards,
    forwardsPerSecond: (forwards / elapsedMs) * 1000,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    maxMs: sorted.at(-1) ?? null,
  }
}

/** Open loop: as in real life, a slow server does not slow its clients down. */
function startPacing(lanes: readonly Lane[], perSecond: number, send: (lane: Lane) => void): () => void {
  const started = performance.now()
  let sent = 0
  let stopped = false
  const turn = (): void => {
    if (stopped) return
    const due = ((performance.now() - started) / 1000) * perSecond
    // What a stall has delayed is still sent, but never as one burst that no client would send.
    const burst = Math.min(due - sent, 200)
    for (let index = 0; index < burst; index++) {
      const lane = lanes[sent % lanes.length]
      if (lane !== undefined) send(lane)
      sent += 1
    }
    if (due - sent > perSecond) sent = due
    setTimeout(turn, 1)
  }
  turn()
  return () => {
    stopped = true
  }
}

async function closeAll(members: readonly Member[]): Promise<void> {
  for (const { socket } of members) socket.terminate()
  await pause(200)
}
