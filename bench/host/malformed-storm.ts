import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import { setTimeout as pause } from "node:timers/promises"
import { createSeededRandom, type SeededRandom } from "@dunlin/core/testing"
import { encodeClientMessage, SIGNALING_SUBPROTOCOL } from "@dunlin/core/signaling"
import { WebSocket } from "ws"
import { rawFrame, upgradeRequest } from "../../packages/host/test/raw-socket.ts"
import type { ServerKind } from "./dialects.ts"

export interface StormOptions {
  readonly port: number
  readonly frames: number
  readonly seed: number
}

export interface StormFigures {
  readonly frames: number
  readonly connections: number
  readonly bytes: number
  readonly seconds: number
}

/**
 * Frames per connection. Those that are only out of order come first, because a malformed frame ends the connection and
 * the rest would reach a socket that is closing.
 */
const FRAMES_PER_CONNECTION = 20
const PARALLEL = 48

const valid = {
  join: () =>
    encodeClientMessage({
      type: "join",
      channel: 1,
      topic: randomBytes(32),
      peer: randomBytes(16),
      resume: null,
      token: "",
    }),
  signal: (channel: number) =>
    encodeClientMessage({ type: "signal", channel, to: randomBytes(16), blob: randomBytes(64) }),
}

/** Malformed, oversized, truncated, fragmented and out-of-order frames, as fast as the connections take them. */
export async function malformedStorm({ port, frames, seed }: StormOptions): Promise<StormFigures> {
  const started = performance.now()
  let sent = 0
  let connections = 0
  let bytes = 0
  const worker = async (index: number): Promise<void> => {
    const random = createSeededRandom(seed + index)
    while (sent < frames) {
      const count = Math.min(FRAMES_PER_CONNECTION, frames - sent)
      sent += count
      const at = connections++
      const payload = Buffer.concat([
        Buffer.from(upgradeRequest()),
        ...(random.unit() < 0.5 ? [rawFrame({ head: 0x82, payload: valid.join() })] : []),
        ...hostileFrames(random, count),
      ])
      bytes += payload.length
      await deliver(port, payload, `127.0.${1 + (at % 200)}.${1 + (at % 250)}`)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, (_, index) => worker(index)))
  return { frames: sent, connections, bytes, seconds: (performance.now() - started) / 1000 }
}

/** Sends one frame through an ordinary WebSocket client, and waits a moment for its effect. */
export async function killWith({
  url,
  kind,
  frame: payload,
}: {
  url: string
  kind: ServerKind
  frame: string
}): Promise<void> {
  const socket = new WebSocket(url, kind === "dunlin" ? SIGNALING_SUBPROTOCOL : [])
  socket.on("error", () => {})
  await new Promise((resolve) => socket.once("open", resolve))
  socket.send(payload)
  await pause(500)
  socket.terminate()
}

function deliver(port: number, payload: Buffer, localAddress: string): Promise<void> {
  return new Promise((resolve) => {
    const tcp = connect({ port, host: "127.0.0.1", localAddress })
    const done = (): void => {
      clearTimeout(timer)
      tcp.destroy()
      resolve()
    }
    // Some of these are only out of order, and end nothing.
    const timer = setTimeout(done, 300)
    tcp.on("error", done)
    tcp.on("close", done)
    tcp.on("data", () => {})
    tcp.write(payload)
  })
}

function hostileFrames(random: SeededRandom, count: number): Buffer[] {
  const outOfOrderCount = Math.floor(random.unit() * count)
  return Array.from({ length: count }, (_, index) =>
    index < outOfOrderCount
      ? rawFrame({ head: 0x82, payload: outOfOrder(Math.floor(random.unit() * 5)) })
      : malformedFrame(random),
  )
}

function malformedFrame(random: SeededRandom): Buffer {
  const pick = random.unit()
  const below = (limit: number): number => Math.floor(random.unit() * limit)
  if (pick < 0.45) return rawFrame({ head: 0x82, payload: structured(random) })
  if (pick < 0.5) return rawFrame({ head: 0x82, payload: valid.join() })
  if (pick < 0.62) return rawFrame({ head: 0x82, payload: valid.join().subarray(0, below(72)) })
  if (pick < 0.7)
    return rawFrame({ head: 0x82, payload: Buffer.concat([valid.join(), random.bytes(1 + below(50))]) })
  if (pick < 0.78) return rawFrame({ head: 0x82, payload: random.bytes(below(200)) })
  if (pick < 0.82) return fragments(random, valid.join())
  if (pick < 0.85) return rawFrame({ head: 0x81, payload: Buffer.from('{"type":"join","room":"x"}') })
  if (pick < 0.88) return rawFrame({ head: 0x80 | below(16), payload: random.bytes(below(130)) })
  if (pick < 0.91) return rawFrame({ head: 0x82 | (0x10 << below(3)), payload: random.bytes(20) })
  if (pick < 0.94) return rawFrame({ head: 0x82, payload: valid.join(), masked: false })
  if (pick < 0.96)
    return rawFrame({ head: 0x82, payload: random.bytes(30), claimedLength: 2n ** BigInt(15 + below(48)) })
  if (pick < 0.97) return rawFrame({ head: 0x82, payload: random.bytes(33_000) })
  if (pick < 0.98) return rawFrame({ head: 0x02, payload: random.bytes(20_000) })
  return Buffer.from(random.bytes(below(100)))
}

/** The protocol's header, followed by random bytes. */
function structured(random: SeededRandom): Uint8Array {
  const body = random.bytes(Math.floor(random.unit() * 120))
  const type = [1, 2, 3, 4, 5, 6, 7, 0x81, 0xff][Math.floor(random.unit() * 9)] ?? 0
  return Buffer.concat([Buffer.from([1, type, 0, Math.floor(random.unit() * 4)]), body])
}

/** A well-formed frame at the wrong moment. */
function outOfOrder(kind: number): Uint8Array {
  switch (kind) {
    case 0:
      return encodeClientMessage({ type: "leave", channel: 77 })
    case 1:
      return valid.signal(78)
    case 2:
      return valid.signal(1)
    case 3:
      return encodeClientMessage({ type: "renew", channel: 79, token: "x.y.z" })
    default:
      return encodeClientMessage({ type: "ice-request" })
  }
}

function fragments(random: SeededRandom, payload: Uint8Array): Buffer {
  const cut = 1 + Math.floor(random.unit() * (payload.length - 2))
  const orphan = random.unit() < 0.3
  return Buffer.concat([
    orphan ? Buffer.alloc(0) : rawFrame({ head: 0x02, payload: payload.subarray(0, cut) }),
    rawFrame({ head: 0x89, payload: Buffer.from("ping") }),
    rawFrame({ head: 0x00, payload: new Uint8Array(0) }),
    rawFrame({ head: 0x80, payload: payload.subarray(cut) }),
  ])
}
