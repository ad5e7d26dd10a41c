import { decodeMessage } from "@dunlin/core/testing"
import type { Device, World } from "./device.ts"
import type { EdgeEvents } from "./edge.ts"

export interface TrafficOptions {
  /** A world that sends more than this never comes to rest, and fails. */
  readonly mostMessages: number
  /** Traces a line for every frame that arrives. */
  readonly traceFrames: boolean
  /** Sees every message as it is sent. */
  readonly capture: ((message: Uint8Array) => void) | undefined
}

/** Sees every message of a world. */
export interface Traffic extends EdgeEvents {
  /** Messages sent so far. */
  readonly messages: number
  /** A hash over every message and everything else that was absorbed. */
  readonly digest: number
  absorb(bytes: Uint8Array): void
  /** From now on any other frame that arrives fails the world; null allows all. */
  allowOnly(frames: ReadonlySet<string> | null): void
}

/** The offset basis and the prime of FNV-1a. */
const FNV_BASIS = 0x811c_9dc5
const FNV_PRIME = 0x0100_0193
const MOST_TRACED_CHARACTERS = 160

export function createTraffic(world: World, { mostMessages, traceFrames, capture }: TrafficOptions): Traffic {
  const lastOrderByDevice = new Map<Device, number>()
  let messages = 0
  let digest = FNV_BASIS
  let allowed: ReadonlySet<string> | null = null

  const absorb = (bytes: Uint8Array): void => {
    for (const byte of bytes) digest = Math.imul(digest ^ byte, FNV_PRIME)
  }
  const trace = (at: Device, from: Device, message: Uint8Array): void => {
    for (const { frame, size } of decodeMessage(message)) {
      const { type, ...body } = frame
      if (type !== "ping" && type !== "pong")
        world.trace(`  ${from.index} → ${at.index} ${type} ${size} B ${describe(body)}`)
    }
  }

  return {
    get messages() {
      return messages
    },
    get digest() {
      return digest >>> 0
    },
    absorb,
    allowOnly(frames) {
      allowed = frames
    },
    sent(message) {
      absorb(message)
      capture?.(message)
      messages++
      if (messages > mostMessages) world.fail("this room never comes to rest")
      return messages
    },
    arrived(at, from, _lane, message, order) {
      if (traceFrames) trace(at, from, message)
      if (order < (lastOrderByDevice.get(at) ?? 0)) world.faults.count("reordered-across-links")
      else lastOrderByDevice.set(at, order)
      if (allowed === null) return
      for (const { frame } of decodeMessage(message)) {
        if (!allowed.has(frame.type)) world.fail(`${frame.type} still travels long after the faults ended`)
      }
    },
  }
}

/** A frame's content in one line: bytes as their first hex digits. */
function describe(body: object): string {
  const text = JSON.stringify(body, (_key, value: unknown) =>
    value instanceof Uint8Array
      ? `${Buffer.from(value.subarray(0, 4)).toString("hex")}/${value.length}`
      : value,
  )
  return text.length > MOST_TRACED_CHARACTERS ? `${text.slice(0, MOST_TRACED_CHARACTERS)}…` : text
}
