import * as wrtc from "node-datachannel/polyfill"
import {
  createEnvelopeOpener,
  type Envelope,
  type EnvelopeContext,
  sealEnvelope,
} from "../src/crypto/envelope.ts"
import { systemClock } from "../src/ports/clock.ts"
import { systemRandom } from "../src/ports/random.ts"
import type { Lane, Pipe } from "../src/ports/transport.ts"
import { bytesToHex } from "../src/protocol/hex.ts"
import { decodeUtf8, encodeUtf8 } from "../src/protocol/utf8.ts"
import { decodeCandidates, encodeCandidates } from "../src/webrtc/candidate-batch.ts"
import { createPeerConnection, type PeerConnection } from "../src/webrtc/peer-connection.ts"
import { findRtcPlatform } from "../src/webrtc/rtc-platform.ts"
import type { Signal } from "./scripted-signaling.ts"

/** What a server in the middle would need in order to intercept: the room's signaling key, which in truth it never has. */
export interface InterceptorOptions {
  readonly context: Omit<EnvelopeContext, "self">
  deliver(signal: Signal): void
}

export interface Interceptor {
  /** Takes a signal off the wire and plays each end towards the other. */
  intercept(signal: Signal): void
  /** Everything that went through the data channels in between, in the clear. */
  readonly overheard: readonly Uint8Array[]
  /** Connections to a victim that opened. */
  readonly opened: number
  close(): void
}

interface Side {
  readonly connection: PeerConnection
  readonly id: Uint8Array
}

/** A man in the middle with certificates of its own, as a signaling server could be if signaling were in the clear. */
export function createInterceptor({ context, deliver }: InterceptorOptions): Interceptor {
  const openersByReceiver = new Map<string, ReturnType<typeof createEnvelopeOpener>>()
  const sidesByCall = new Map<string, Side>()
  const connections: PeerConnection[] = []
  const overheard: Uint8Array[] = []
  let opened = 0
  let turn: Promise<void> = Promise.resolve()
  const random = systemRandom()

  const post = async (from: Uint8Array, message: Omit<Envelope, "from">): Promise<void> => {
    const blob = await sealEnvelope({ ...context, self: from }, message, random)
    deliver({ from, to: message.to, blob })
  }

  /** One of our own ends, which talks to `victim` in the name of `name`. */
  const play = (
    role: "offerer" | "answerer",
    victim: Uint8Array,
    name: Uint8Array,
    id: Uint8Array,
    onPipe: (pipe: Pipe) => void,
  ): Side => {
    let posting: Promise<void> = Promise.resolve()
    const say = (type: Envelope["type"], payload: Uint8Array): void => {
      posting = posting.then(() => post(name, { type, to: victim, connection: id, payload }))
    }
    const connection = createPeerConnection({
      role,
      platform: findRtcPlatform(wrtc),
      configuration: {},
      holdMs: 300,
      patience: 1,
      clock: systemClock(),
      remote: "victim",
      events: {
        described: (sdp) => say(role === "offerer" ? "offer" : "answer", encodeUtf8(sdp)),
        candidates: (batch) => say("candidates", encodeCandidates(batch)),
        opened: (pipe) => {
          opened += 1
          onPipe(pipe)
        },
        broken: () => {},
        closed: () => {},
        stage: () => {},
      },
    })
    connections.push(connection)
    const side = { connection, id }
    sidesByCall.set(`${bytesToHex(victim)} ${bytesToHex(id)}`, side)
    return side
  }

  const take = async (signal: Signal): Promise<void> => {
    const receiver = bytesToHex(signal.to)
    const opener = openersByReceiver.get(receiver) ?? createEnvelopeOpener({ ...context, self: signal.to })
    openersByReceiver.set(receiver, opener)
    const envelope = await opener.open(signal.blob, signal.from)
    if (typeof envelope === "string") return
    const { type, from, to, connection: id, payload } = envelope
    if (type === "offer") {
      const tunnel = createTunnel(overheard)
      const towardsCaller = play("answerer", from, to, id.slice(), tunnel.left)
      play("offerer", to, from, id.slice(), tunnel.right)
      return towardsCaller.connection.describe(decodeUtf8(payload))
    }
    const side = sidesByCall.get(`${bytesToHex(from)} ${bytesToHex(id)}`)
    if (type === "answer") await side?.connection.describe(decodeUtf8(payload))
    else if (type === "candidates") side?.connection.addCandidates(decodeCandidates(payload))
    else await post(from, { type, to, connection: id, payload })
  }

  return {
    intercept(signal) {
      turn = turn.then(() => take(signal))
    },
    overheard,
    get opened() {
      return opened
    },
    close() {
      for (const connection of connections) connection.close()
    },
  }
}

/** Passes messages between two pipes and keeps a copy. */
function createTunnel(overheard: Uint8Array[]): { left(pipe: Pipe): void; right(pipe: Pipe): void } {
  const pipes: { left?: Pipe | undefined; right?: Pipe | undefined } = {}
  const early: { to: "left" | "right"; lane: Lane; bytes: Uint8Array }[] = []
  const pass = (to: "left" | "right", lane: Lane, bytes: Uint8Array): void => {
    overheard.push(bytes)
    const pipe = pipes[to]
    if (pipe !== undefined) pipe.send(lane, bytes)
    else if (!(to in pipes)) early.push({ to, lane, bytes })
  }
  const attach = (name: "left" | "right", other: "left" | "right", pipe: Pipe): void => {
    pipes[name] = pipe
    pipe.open({
      message: (lane, bytes) => pass(other, lane, bytes),
      drained: () => {},
      // What still arrives for an end that has gone is dropped.
      closed: () => (pipes[name] = undefined),
    })
    for (const { to, lane, bytes } of early) if (to === name) pipe.send(lane, bytes)
  }
  return {
    left: (pipe) => attach("left", "right", pipe),
    right: (pipe) => attach("right", "left", pipe),
  }
}
