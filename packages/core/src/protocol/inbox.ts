import { DecodeError } from "./decode-error.ts"
import type { ChunkFrame, DataFrame, Frame, FragmentFrame, PushFrame } from "./frame.ts"
import { decodeFrame } from "./frame-codec.ts"
import { CREDIT_WINDOW_BYTES, REASSEMBLY_BYTES } from "./limits.ts"

type Lane = "control" | "bulk"

/** One received payload frame, until it is durable, refused or dropped. */
export interface Receipt {
  readonly lane: Lane
  /** Whether an acknowledgement counts it: DATA and PUSH, not CHUNK. */
  readonly entry: boolean
  readonly held: number
  readonly credit: number
  done: boolean
}

export interface ReceivedPayload {
  readonly frame: DataFrame | PushFrame | ChunkFrame
  readonly receipt: Receipt
}

/** The receiving side of a link: counts credit, joins fragments, and knows what to acknowledge. */
export interface Inbox {
  /**
   * Takes a payload frame or a fragment; null while a fragmented frame is not complete. Throws `DecodeError` when the
   * peer sends more than its credit or pieces out of order.
   */
  receive(
    lane: Lane,
    frame: DataFrame | PushFrame | ChunkFrame | FragmentFrame,
    size: number,
  ): ReceivedPayload | null
  /** The payload was dealt with, durably where it changed anything. Idempotent. */
  settle(receipt: Receipt): void
  /** Acknowledgement and credit that are due; empty when nothing changed enough. */
  answers(): readonly Frame[]
  /** Asks again for the room's place for one large entry. */
  retryLarge(): void
  /** Frees the place for a large entry, if this link has it. */
  close(): void
  readonly pendingEntries: number
  readonly entriesIn: number
}

/** One entry larger than the reassembly buffer may be under way per room at a time. */
export interface LargeEntryGate {
  acquire(): boolean
  release(): void
}

/** Credit is returned in steps, so that small entries do not each cost a frame. */
const CREDIT_STEP_BYTES = CREDIT_WINDOW_BYTES / 8
const MAX_PARTIAL_FRAMES = 8

interface PartialFrame {
  readonly total: number
  readonly size: number
  readonly pieces: Uint8Array[]
  received: number
}

export function createInbox(gate: LargeEntryGate): Inbox {
  const partialById = new Map<number, PartialFrame>()
  const receipts: Record<Lane, Receipt[]> = { control: [], bulk: [] }
  const acknowledged: Record<Lane, number> = { control: 0, bulk: 0 }
  let received = 0
  let returned = 0
  let announced = CREDIT_WINDOW_BYTES
  let ackDue = false
  /** Bytes of fragments and of frames joined from them. */
  let held = 0
  /** Credit of fragments that came while too much was held. */
  let withheld = 0
  let large = false
  let entriesIn = 0

  const account = (size: number): void => {
    received += size
    if (received > announced) throw new DecodeError("protocol-violation", "more than the credit")
  }

  const mayHold = (): boolean => {
    if (held <= REASSEMBLY_BYTES || large) return true
    large = gate.acquire()
    return large
  }

  const returnWithheld = (): void => {
    if (withheld === 0 || !mayHold()) return
    returned += withheld
    withheld = 0
  }

  const openReceipt = (lane: Lane, entry: boolean, heldBytes: number, credit: number): Receipt => {
    const receipt: Receipt = { lane, entry, held: heldBytes, credit, done: false }
    if (entry) {
      receipts[lane].push(receipt)
      entriesIn++
    }
    return receipt
  }

  const join = (lane: Lane, fragment: FragmentFrame, size: number): ReceivedPayload | null => {
    held += fragment.bytes.length
    if (mayHold()) returned += size
    else withheld += size
    const whole = addPiece(partialById, fragment)
    if (whole === null) return null
    const frame = decodeFrame(whole)
    if (frame.type !== "data" && frame.type !== "chunk") {
      throw new DecodeError("protocol-violation", `${frame.type} in fragments`)
    }
    return { frame, receipt: openReceipt(lane, frame.type === "data", whole.length, 0) }
  }

  return {
    receive(lane, frame, size) {
      account(size)
      if (frame.type === "fragment") return join(lane, frame, size)
      return { frame, receipt: openReceipt(lane, frame.type !== "chunk", 0, size) }
    },
    settle(receipt) {
      if (receipt.done) return
      receipt.done = true
      returned += receipt.credit
      held -= receipt.held
      if (held <= REASSEMBLY_BYTES && large) {
        large = false
        gate.release()
      }
      returnWithheld()
      const queue = receipts[receipt.lane]
      let count = 0
      while (queue[count]?.done === true) count++
      if (count === 0) return
      queue.splice(0, count)
      acknowledged[receipt.lane] += count
      ackDue = true
    },
    answers() {
      const frames: Frame[] = []
      if (ackDue) frames.push({ type: "ack", control: acknowledged.control, bulk: acknowledged.bulk })
      ackDue = false
      const total = returned + CREDIT_WINDOW_BYTES
      if (total - announced >= CREDIT_STEP_BYTES) {
        announced = total
        frames.push({ type: "credit", total })
      }
      return frames
    },
    retryLarge: returnWithheld,
    close() {
      if (large) gate.release()
      large = false
      partialById.clear()
    },
    get pendingEntries() {
      return receipts.control.length + receipts.bulk.length
    },
    get entriesIn() {
      return entriesIn
    },
  }
}

/** The whole frame once its last piece is in. Pieces must come in order: a lane keeps it. */
function addPiece(partialById: Map<number, PartialFrame>, fragment: FragmentFrame): Uint8Array | null {
  let partial = partialById.get(fragment.id)
  if (partial === undefined) {
    if (fragment.index !== 0 || partialById.size >= MAX_PARTIAL_FRAMES) {
      throw new DecodeError("protocol-violation", "fragment out of place")
    }
    partial = { total: fragment.total, size: fragment.size, pieces: [], received: 0 }
    partialById.set(fragment.id, partial)
  }
  const expected = partial.pieces.length === fragment.index && partial.total === fragment.total
  if (!expected || partial.size !== fragment.size) {
    throw new DecodeError("protocol-violation", "fragment out of place")
  }
  partial.pieces.push(fragment.bytes)
  partial.received += fragment.bytes.length
  if (partial.received > partial.size) throw new DecodeError("protocol-violation", "fragments too long")
  if (partial.pieces.length < partial.total) return null
  if (partial.received < partial.size) throw new DecodeError("protocol-violation", "fragments too short")
  partialById.delete(fragment.id)
  const whole = new Uint8Array(partial.size)
  let at = 0
  for (const piece of partial.pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
