import { concatBytes } from "@noble/hashes/utils.js"
import { DecodeError } from "./decode-error.ts"
import type { FingerprintIndex } from "./fingerprint-index.ts"
import type { RangeAckFrame, RangeFrame } from "./frame.ts"
import { CONTROL_MESSAGE_BYTES, MAX_RANGE_BYTES } from "./limits.ts"
import {
  compareRecord,
  decodeRangeRecords,
  openingRecord,
  type RangeFindings,
  replyBound,
} from "./reconcile.ts"

/** All findings except replies, which the protocol sends itself. */
export type EntryFindings = Omit<RangeFindings, "reply">

/** The initiator's side of one reconciliation. The responder's side is `answerRange`. */
export interface Reconciliation {
  /** Requests that may be sent now. `roomy`: the control lane is free, so that more than a few may be outstanding. */
  requests(now: number, roomy: boolean): readonly RangeFrame[]
  /** Takes a reply frame; false for one of an earlier run, which is ignored. Throws `DecodeError` on bad records. */
  replied(frame: RangeFrame): boolean
  /** The same for the end of a reply. Throws `DecodeError` if it answers nothing, since asking again would never end. */
  acknowledged(frame: RangeAckFrame, now: number): boolean
  /** Nothing is outstanding and nothing is left to ask. */
  readonly done: boolean
  /** The responder asked to be left alone for now. */
  readonly postponed: boolean
  /**
   * What differs afterwards may still be exchanged: the responder asks another peer first for something that this run found,
   * or there was more to ask about than can be kept.
   */
  readonly deferred: boolean
  /** Answered requests so far. */
  readonly rounds: number
  /** RANGE bytes both ways. */
  readonly bytes: number
}

export interface RangeAnswer {
  readonly replies: readonly RangeFrame[]
  readonly ack: RangeAckFrame
}

/** Requests outstanding at a time while nothing is known of a link yet, or while its answers come late. */
const NARROW_REQUESTS = 4
/** The same after a first answer in time. Enough for 100,000 entries to need only as many round trips as their tree is deep. */
const FIRST_WIDE_REQUESTS = 16
/** The most, if further answers come in time: enough to fill a long path, and the grants keep memory bounded. */
const WIDE_REQUESTS = 32
/** An answer that takes this much longer than the fastest one waited in a queue, in which keystrokes would wait as well. */
const LATE_MS = 25
/** What a request grants for its reply. */
const REPLY_GRANT_BYTES = 65_536
/** A reply longer than four grants is malice: an honest one ends within its grant, or with the record that exceeds it. */
const MAX_REPLY_BYTES = 4 * REPLY_GRANT_BYTES
/** Limit of records still to be asked about: a million entries that all differ can cause more. The next run asks about the rest. */
const MAX_OPEN_BYTES = 4_194_304

export function createReconciliation(
  index: FingerprintIndex,
  slot: number,
  salt: number,
  findings: EntryFindings,
  mayReceive: boolean,
): Reconciliation {
  /** Last in, first out: going deep first keeps this short. */
  const open: Uint8Array[] = [openingRecord(index, salt)]
  let openBytes = (open[0] as Uint8Array).length
  const outBySequence = new Map<
    number,
    { readonly records: readonly Uint8Array[]; readonly sentAt: number; replyBytes: number }
  >()
  let nextSequence = 1
  let width = NARROW_REQUESTS
  let fastestMs: number | null = null
  let rounds = 0
  let bytes = 0
  let postponed = false
  let deferred = false

  const add = (record: Uint8Array): void => {
    if (openBytes + record.length > MAX_OPEN_BYTES) {
      deferred = true
      return
    }
    open.push(record)
    openBytes += record.length
  }
  const sink: RangeFindings = { ...findings, reply: add }

  return {
    requests(now, roomy) {
      const frames: RangeFrame[] = []
      const most = roomy ? width : NARROW_REQUESTS
      while (open.length > 0 && outBySequence.size < most && !postponed) {
        const records = takeRecords(open)
        const sequence = nextSequence++
        outBySequence.set(sequence, { records, sentAt: now, replyBytes: 0 })
        const frame = rangeFrame(slot, salt, sequence, records, REPLY_GRANT_BYTES)
        openBytes -= frame.records.length
        bytes += frame.records.length
        frames.push(frame)
      }
      return frames
    },
    replied(frame) {
      const out = outBySequence.get(frame.sequence)
      if (frame.salt !== salt || out === undefined) return false
      bytes += frame.records.length
      out.replyBytes += frame.records.length
      if (out.replyBytes > MAX_REPLY_BYTES)
        throw new DecodeError("protocol-violation", "reply exceeds its grant")
      for (const record of decodeRangeRecords(frame.records)) {
        compareRecord(index, salt, record, sink, mayReceive)
      }
      return true
    },
    acknowledged(frame, now) {
      const out = outBySequence.get(frame.sequence)
      if (frame.salt !== salt || out === undefined) return false
      if (!frame.later && frame.answered === 0) {
        throw new DecodeError("protocol-violation", "answers nothing")
      }
      outBySequence.delete(frame.sequence)
      const tookMs = now - out.sentAt
      // The first answer is long. After it, one more request per answer in time doubles their number every round trip.
      if (tookMs > (fastestMs ?? 0) + LATE_MS) width = NARROW_REQUESTS
      else width = fastestMs === null ? FIRST_WIDE_REQUESTS : Math.min(width + 1, WIDE_REQUESTS)
      fastestMs = Math.min(fastestMs ?? tookMs, tookMs)
      rounds++
      if (frame.later && frame.answered === 0) {
        postponed = true
        return true
      }
      if (frame.later) deferred = true
      // What the grant did not cover is asked again.
      for (const record of out.records.slice(frame.answered)) add(record)
      return true
    },
    get done() {
      return !postponed && open.length === 0 && outBySequence.size === 0
    },
    get postponed() {
      return postponed
    },
    get deferred() {
      return deferred
    },
    get rounds() {
      return rounds
    },
    get bytes() {
      return bytes
    },
  }
}

/**
 * The responder's side: a function of the request and the index as it is now. Throws `DecodeError` on bad records.
 * At least one record is answered whatever the grant, so a request always makes progress. Unless `roomy`, much already
 * waits to be sent and less is answered, so that the answers to many requests never cost an honest peer its link.
 */
export function answerRange(
  index: FingerprintIndex,
  slot: number,
  request: RangeFrame,
  findings: EntryFindings,
  mayReceive: boolean,
  roomy = true,
): RangeAnswer {
  const { salt, sequence } = request
  const grant = Math.min(request.grant, roomy ? REPLY_GRANT_BYTES : CONTROL_MESSAGE_BYTES)
  const replies: Uint8Array[] = []
  let size = 0
  let answered = 0
  const sink: RangeFindings = {
    ...findings,
    reply(record) {
      replies.push(record)
      size += record.length
    },
  }
  for (const record of decodeRangeRecords(request.records)) {
    if (answered > 0 && size + replyBound(record) > grant) break
    compareRecord(index, salt, record, sink, mayReceive)
    answered++
  }
  replies.reverse()
  const frames: RangeFrame[] = []
  while (replies.length > 0) {
    frames.push(rangeFrame(slot, salt, sequence, takeRecords(replies), 0))
  }
  const ack: RangeAckFrame = {
    type: "range-ack",
    slot,
    salt,
    sequence,
    answered,
    later: false,
  }
  return { replies: frames, ack }
}

/** Takes records from the end of `open`: as many as fit one frame, at least one. */
function takeRecords(open: Uint8Array[]): readonly Uint8Array[] {
  const records: Uint8Array[] = []
  let size = 0
  for (let record = open.pop(); record !== undefined; record = open.pop()) {
    if (records.length > 0 && size + record.length > MAX_RANGE_BYTES) {
      open.push(record)
      break
    }
    records.push(record)
    size += record.length
  }
  return records
}

/** A frame with a grant of 0 is a reply. */
function rangeFrame(
  slot: number,
  salt: number,
  sequence: number,
  records: readonly Uint8Array[],
  grant: number,
): RangeFrame {
  return { type: "range", slot, salt, sequence, reply: grant === 0, grant, records: concatBytes(...records) }
}
