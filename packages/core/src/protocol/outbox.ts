import type { ChunkFrame, DataFrame, Frame, PushFrame } from "./frame.ts"
import { encodeFrame, splitFrame } from "./frame-codec.ts"
import {
  BULK_MESSAGE_BYTES,
  CONTROL_MESSAGE_BYTES,
  CREDIT_WINDOW_BYTES,
  FRAGMENT_BYTES,
  MAX_UNACKNOWLEDGED,
} from "./limits.ts"
import { encodeMessage, type EncodedFrame, framedBytes } from "./message.ts"

/** An entry on its way: what its acknowledgement will confirm. */
export interface EntryReference {
  readonly slot: number
  /** 16 bytes. */
  readonly position: Uint8Array
  /** 8 bytes. */
  readonly digest: Uint8Array
  /** The link's count of changes when the entry was read. The acknowledgement also confirms older changes of the entry. */
  readonly changes: number
  /** Only the change was sent, without the state it was made from. The peer holds that state unless it said otherwise. */
  readonly alone?: true
}

export interface OutboxPath {
  send(lane: "control" | "bulk", message: Uint8Array): void
  buffered(lane: "control" | "bulk"): number
  readonly maxMessageBytes: number
}

/**
 * The sending side of a link: packs frames into messages, splits frames that are too long, and holds back when the
 * peer's credit or the transport's buffer is used up.
 */
export interface Outbox {
  /** Frames that need no credit. Sent at `flush`. */
  control(frame: Frame): void
  /** Queues nothing and returns false if the frame is too long, the lane congested, credit short, or too much unacknowledged. */
  push(frame: PushFrame, reference: EntryReference): boolean
  /** Payload for the bulk lane; call while `wantsBulk`. */
  bulk(frame: DataFrame | ChunkFrame, reference: EntryReference | null): void
  /** Also false while much waits for the control lane, since the search for something to send may add to it. */
  readonly wantsBulk: boolean
  /** The control lane takes further optional frames. */
  readonly wantsControl: boolean
  /** Something is about to leave on the control lane. */
  readonly hasControl: boolean
  /** So much waits for the control lane that the peer cannot be reading: answers to a flood would pile up for ever. */
  readonly overflowing: boolean
  /** Hands the transport what may be sent now. */
  flush(): void
  /** The peer's HELLO named its longest message. */
  capMessages(bytes: number): void
  credited(total: number): void
  /** Entries that a cumulative acknowledgement confirms; null when it counts what was never sent. */
  acknowledged(control: number, bulk: number): readonly EntryReference[] | null
  /** Entries sent and not acknowledged, or queued. */
  readonly unacknowledged: number
  /** The part of these on the bulk lane. */
  readonly unacknowledgedBulk: number
  readonly counters: { readonly bytesOut: number; readonly framesOut: number; readonly entriesOut: number }
}

/** More than this waiting in the transport's control lane means that the peer does not keep up. */
const CONTROL_HIGH_BYTES = 262_144
/** Far more than an honest peer can ask for in one go (all ranges that may be outstanding, a batch of refusals). */
const CONTROL_OVERFLOW_BYTES = 4_194_304
/** Enough to fill a long path; little enough that memory stays flat and control frames are not delayed. */
const BULK_HIGH_BYTES = 1_048_576
/** Encoded payload held ready for the transport. */
const BULK_READY_BYTES = 524_288

interface QueuedFrame {
  readonly frame: EncodedFrame
  /** Bytes of credit it takes; 0 for a frame without payload. */
  readonly credit: number
}

export function createOutbox(path: OutboxPath): Outbox {
  /** The longest bulk message. No side allows less than a control message takes. */
  let cap = Math.min(path.maxMessageBytes, BULK_MESSAGE_BYTES)
  let creditTotal = CREDIT_WINDOW_BYTES
  let creditUsed = 0
  const counters = { bytesOut: 0, framesOut: 0, entriesOut: 0 }

  let controlQueue: EncodedFrame[] = []
  let controlBytes = 0
  const bulkQueue: QueuedFrame[] = []
  let bulkHead = 0
  let bulkBytes = 0

  const references = { control: createReferenceLog(), bulk: createReferenceLog() }

  const queueControl = (frame: EncodedFrame): void => {
    controlQueue.push(frame)
    controlBytes += frame.length
    counters.framesOut++
  }

  const queueBulk = (frame: EncodedFrame, credit: number): void => {
    bulkQueue.push({ frame, credit })
    bulkBytes += frame.length
    counters.framesOut++
  }

  const send = (lane: "control" | "bulk", frames: readonly EncodedFrame[]): void => {
    const message = encodeMessage(frames)
    counters.bytesOut += message.length
    path.send(lane, message)
  }

  const flushControl = (): void => {
    if (controlQueue.length === 0 || path.buffered("control") > CONTROL_HIGH_BYTES) return
    let frames: EncodedFrame[] = []
    let size = 0
    for (const frame of controlQueue) {
      const framed = framedBytes(frame.length)
      if (frames.length > 0 && size + framed > CONTROL_MESSAGE_BYTES) {
        send("control", frames)
        frames = []
        size = 0
      }
      frames.push(frame)
      size += framed
    }
    send("control", frames)
    controlQueue = []
    controlBytes = 0
  }

  const nextBulkMessage = (): readonly EncodedFrame[] => {
    const frames: EncodedFrame[] = []
    let size = 0
    for (let head = bulkQueue[bulkHead]; head !== undefined; head = bulkQueue[bulkHead]) {
      const framed = framedBytes(head.frame.length)
      if (creditUsed + head.credit > creditTotal) break
      if (frames.length > 0 && size + framed > cap) break
      frames.push(head.frame)
      size += framed
      creditUsed += head.credit
      bulkBytes -= head.frame.length
      bulkHead++
    }
    if (bulkHead > 256 && bulkHead * 2 > bulkQueue.length) {
      bulkQueue.splice(0, bulkHead)
      bulkHead = 0
    }
    return frames
  }

  const flushBulk = (): void => {
    // Asks the transport last: that is a call out of the runtime, and most flushes have nothing for this lane.
    while (bulkHead < bulkQueue.length && path.buffered("bulk") < BULK_HIGH_BYTES) {
      const frames = nextBulkMessage()
      if (frames.length === 0) return
      send("bulk", frames)
    }
  }

  return {
    control: (frame) => queueControl(encodeFrame(frame)),
    push(frame, reference) {
      const encoded = splitFrame(frame)
      if (references.control.length >= MAX_UNACKNOWLEDGED) return false
      const tooLong = framedBytes(encoded.length) > CONTROL_MESSAGE_BYTES
      if (tooLong || creditUsed + encoded.length > creditTotal || !this.wantsControl) return false
      creditUsed += encoded.length
      queueControl(encoded)
      references.control.add(reference)
      counters.entriesOut++
      return true
    },
    bulk(frame, reference) {
      if (reference !== null) {
        references.bulk.add(reference)
        counters.entriesOut++
      }
      const pieceBytes = Math.min(FRAGMENT_BYTES, cap - 64)
      const encoded = splitFrame(frame)
      if (framedBytes(encoded.length) <= cap) {
        queueBulk(encoded, encoded.length)
        return
      }
      const bytes = encodeFrame(frame)
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const piece = bytes.subarray(at, at + pieceBytes)
        const fragment = splitFrame({ type: "fragment", size: bytes.length, bytes: piece })
        queueBulk(fragment, fragment.length)
      }
    },
    get wantsBulk() {
      return bulkBytes < BULK_READY_BYTES && controlBytes < CONTROL_HIGH_BYTES
    },
    get wantsControl() {
      return controlBytes < CONTROL_HIGH_BYTES && path.buffered("control") <= CONTROL_HIGH_BYTES
    },
    get hasControl() {
      return controlQueue.length > 0
    },
    get overflowing() {
      return controlBytes > CONTROL_OVERFLOW_BYTES
    },
    flush() {
      flushControl()
      flushBulk()
    },
    capMessages(bytes) {
      cap = Math.min(cap, bytes)
    },
    credited(total) {
      // Frames of one lane come in order, so a smaller total can only be a lie; believing the larger costs nothing.
      creditTotal = Math.max(creditTotal, total)
    },
    acknowledged(control, bulk) {
      const confirmedControl = references.control.take(control)
      const confirmedBulk = references.bulk.take(bulk)
      if (confirmedControl === null || confirmedBulk === null) return null
      return [...confirmedControl, ...confirmedBulk]
    },
    get unacknowledged() {
      return references.control.length + references.bulk.length
    },
    get unacknowledgedBulk() {
      return references.bulk.length
    },
    counters,
  }
}

/** References in the order of sending, taken from the front by a cumulative count. */
function createReferenceLog(): {
  add(reference: EntryReference): void
  take(upTo: number): readonly EntryReference[] | null
  readonly length: number
} {
  const log: EntryReference[] = []
  let taken = 0
  return {
    add: (reference) => void log.push(reference),
    take(upTo) {
      const count = upTo - taken
      if (count < 0 || count > log.length) return null
      taken = upTo
      return log.splice(0, count)
    },
    get length() {
      return log.length
    },
  }
}
