import { ByteWriter } from "./byte-writer.ts"
import { DecodeError } from "./decode-error.ts"
import type { ChunkFrame, DataFrame, Frame, FragmentFrame, PushFrame } from "./frame.ts"
import { decodeFrame } from "./frame-codec.ts"
import {
  CREDIT_WINDOW_BYTES,
  MAX_ENTRY_BYTES,
  MAX_UNACKNOWLEDGED,
  MIN_FRAGMENT_BYTES,
  REASSEMBLY_BYTES,
} from "./limits.ts"
import { type Lane, laneOf } from "./message.ts"

/** One received payload frame, until it is durable, refused or dropped. */
export interface Receipt {
  readonly lane: Lane
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
  receive(frame: DataFrame | PushFrame | ChunkFrame | FragmentFrame, size: number): ReceivedPayload | null
  /** The payload has been dealt with, durably if it changed anything. Idempotent. */
  settle(receipt: Receipt): void
  /** The acknowledgement and credit that are due; empty if too little has changed. */
  answers(): readonly Frame[]
  /** An acknowledgement alone may wait for a frame to travel with: "soon", or "later" if entries came only on the bulk lane. */
  readonly answersDue: "no" | "later" | "soon" | "now"
  /** Asks again for the room's place for one large entry. */
  retryLarge(): void
  /** Frees the place for a large entry, if this link has it. */
  close(): void
  /** Whether this link has the room's place for a large entry and waits for the next piece of it. */
  readonly holdsPlace: boolean
  readonly entriesIn: number
}

/** One entry larger than the reassembly buffer may be under way per room at a time. */
export interface LargeEntryGate {
  acquire(): boolean
  release(): void
  /** Whether a link waits for the place now. */
  isWanted(): boolean
}

/** Credit is returned in steps, so that small entries do not each cost a frame: sending is expensive amid a flood. */
const CREDIT_STEP_BYTES = CREDIT_WINDOW_BYTES / 2
/** For the link with the room's place for a large entry: a complete one that waits for the disk, and the next one arriving. */
const LARGE_REASSEMBLY_BYTES = MAX_ENTRY_BYTES + REASSEMBLY_BYTES

/** The fragmented frame that is arriving. A sender finishes one before it begins the next. */
interface PartialFrame {
  readonly size: number
  readonly pieces: Uint8Array[]
  received: number
}

export function createInbox(gate: LargeEntryGate): Inbox {
  let partial: PartialFrame | null = null
  const receipts: Record<Lane, Receipt[]> = { control: [], bulk: [] }
  const acknowledged: Record<Lane, number> = { control: 0, bulk: 0 }
  let received = 0
  let returned = 0
  let announced = CREDIT_WINDOW_BYTES
  let ackDue: "no" | "later" | "soon" = "no"
  /** Bytes of fragments and of frames joined from them. */
  let held = 0
  /** Credit of fragments that arrived while too much was held. */
  let withheld = 0
  let large = false
  let entriesIn = 0
  let closed = false

  const account = (size: number): void => {
    received += size
    if (received > announced) throw new DecodeError("protocol-violation", "more bytes than the credit")
  }

  const mayHold = (): boolean => {
    if (held <= REASSEMBLY_BYTES) return true
    large ||= !closed && gate.acquire()
    return large && held <= LARGE_REASSEMBLY_BYTES
  }

  const returnWithheld = (): void => {
    if (withheld === 0 || !mayHold()) return
    returned += withheld
    withheld = 0
  }

  const taken = (frame: ReceivedPayload["frame"], heldBytes: number, credit: number): ReceivedPayload => {
    const lane = laneOf(frame.type)
    const receipt: Receipt = { lane, held: heldBytes, credit, done: false }
    // An acknowledgement counts DATA and PUSH, not CHUNK.
    if (frame.type !== "chunk") {
      // An honest sender stops at MAX_UNACKNOWLEDGED; after that it sends only what it has already read.
      if (receipts[lane].push(receipt) > MAX_UNACKNOWLEDGED * 2)
        throw new DecodeError("protocol-violation", "too many unacknowledged entries")
      entriesIn++
    }
    return { frame, receipt }
  }

  /** Counts the entries that have been dealt with, up to the first that has not. */
  const take = (lane: Lane): number => {
    const queue = receipts[lane]
    const open = queue.findIndex((receipt) => !receipt.done)
    return (acknowledged[lane] += queue.splice(0, open < 0 ? queue.length : open).length)
  }

  const join = (fragment: FragmentFrame, size: number): ReceivedPayload | null => {
    held += fragment.bytes.length
    if (mayHold()) returned += size
    else withheld += size
    partial = withPiece(partial, fragment)
    if (partial.received < partial.size) return null
    const whole = joinPieces(partial)
    partial = null
    const frame = decodeFrame(whole)
    if (frame.type !== "data" && frame.type !== "chunk") {
      throw new DecodeError("protocol-violation", `${frame.type} in fragments`)
    }
    return taken(frame, whole.length, 0)
  }

  return {
    receive(frame, size) {
      account(size)
      return frame.type === "fragment" ? join(frame, size) : taken(frame, 0, size)
    },
    settle(receipt) {
      if (receipt.done || closed) return
      receipt.done = true
      returned += receipt.credit
      held -= receipt.held
      if (held <= REASSEMBLY_BYTES && large) {
        large = false
        gate.release()
      }
      returnWithheld()
      // Entries are counted only when an answer goes out: taking one off the front of ten thousand moves all the others.
      if (receipts[receipt.lane][0]?.done !== true) return
      if (receipt.lane === "control") ackDue = "soon"
      else if (ackDue === "no") ackDue = "later"
    },
    answers() {
      const frames: Frame[] = []
      if (ackDue !== "no") frames.push({ type: "ack", control: take("control"), bulk: take("bulk") })
      ackDue = "no"
      const total = returned + CREDIT_WINDOW_BYTES
      if (total - announced >= CREDIT_STEP_BYTES) {
        announced = total
        frames.push({ type: "credit", total })
      }
      return frames
    },
    get answersDue() {
      if (returned + CREDIT_WINDOW_BYTES - announced >= CREDIT_STEP_BYTES) return "now"
      return ackDue
    },
    retryLarge: returnWithheld,
    close() {
      closed = true
      partial = null
      if (large) gate.release()
      large = false
    },
    get holdsPlace() {
      return large && partial !== null && withheld === 0
    },
    get entriesIn() {
      return entriesIn
    },
  }
}

function withPiece(partial: PartialFrame | null, { size, bytes }: FragmentFrame): PartialFrame {
  const whole = partial ?? { size, pieces: [], received: 0 }
  whole.pieces.push(bytes)
  whole.received += bytes.length
  const isTiny = bytes.length < MIN_FRAGMENT_BYTES && whole.received < size
  if (whole.size !== size || whole.received > size || isTiny) {
    throw new DecodeError("protocol-violation", "fragment out of place")
  }
  return whole
}

function joinPieces({ size, pieces }: PartialFrame): Uint8Array {
  const whole = new ByteWriter(size)
  for (const piece of pieces) whole.bytes(piece)
  return whole.view()
}
