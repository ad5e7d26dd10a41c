import { ByteReader } from "../byte-reader.ts"
import { ByteWriter } from "../byte-writer.ts"
import { DecodeError } from "../decode-error.ts"
import { MAX_SUMMARY_BYTES } from "../limits.ts"
import {
  compareDots,
  type Context,
  covers,
  type Dot,
  incarnationFromBytes,
  INCARNATION_BYTES,
  MAX_CONTEXT_ENTRIES,
  sameDot,
  sortedEntries,
  writeIncarnation,
} from "./dot.ts"
import { readValue, writeValue } from "./value-codec.ts"
import {
  type DeltaView,
  EMPTY_SUMMARY,
  type RegisterDelta,
  type RegisterSummary,
  type Sibling,
  siblingFinder,
} from "./register.ts"
import { FINGERPRINT_BYTES } from "./state-hash.ts"
import type { HashedValue } from "./value.ts"

/** Format of both encodings. The byte layout is in docs/protocol/register.md, frozen by vectors/register.json. */
const FORMAT = 1
const FORMAT_MASK = 0x0f
const FLAG_COMPLETE = 0x10
const FLAG_FINGERPRINT = 0x20
const FLAG_VIEW = 0x40
const MIN_ENTRY_BYTES = 9
const MAX_U56_HIGH = 0x1f_ffff
/** Up to this many entries a search is quicker than a table. */
const FEW = 8

/** Empty for a reader that holds nothing. */
export function encodeSummary(summary: RegisterSummary): Uint8Array<ArrayBuffer> {
  if (summary.fingerprint === null) return new Uint8Array(0)
  const write = new ByteWriter(32 + summary.context.size * 16).u8(FORMAT).bytes(summary.fingerprint)
  writeContext(write, sortedEntries(summary.context))
  return write.finish()
}

/** Total over hostile input: returns a summary or throws `DecodeError`. */
export function decodeSummary(input: Uint8Array): RegisterSummary {
  if (input.length === 0) return EMPTY_SUMMARY
  if (input.length > MAX_SUMMARY_BYTES) throw new DecodeError("frame-too-large")
  const read = new ByteReader(input)
  if (read.u8() !== FORMAT) throw new DecodeError("unknown-version")
  const fingerprint = read.copy(FINGERPRINT_BYTES)
  const context = new Map(readContext(read))
  read.end()
  return { context, fingerprint }
}

/** The bytes that `decodeDelta` reads, as docs/protocol/register.md lays them out. Equal deltas have equal bytes. */
export function encodeDelta(delta: RegisterDelta): Uint8Array<ArrayBuffer> {
  const { complete, context, dots, siblings, view, fingerprint } = delta
  const write = scratch.reset()
  write.u8(
    FORMAT |
      (complete ? FLAG_COMPLETE : 0) |
      (fingerprint === null ? 0 : FLAG_FINGERPRINT) |
      (view === null ? 0 : FLAG_VIEW),
  )
  const entries = sortedEntries(context)
  writeContext(write, entries)
  if (fingerprint !== null) write.bytes(fingerprint)
  write.varint(dots.length)
  const indexOf = incarnationFinder(entries)
  const valueOf = siblingFinder(siblings)
  for (const dot of dots) {
    writeDot(write, dot, context, indexOf(dot.incarnation))
    writeValue(write, valueOf(dot) ?? null)
  }
  if (view !== null) writeView(write, view, dots)
  const bytes = write.finish()
  if (bytes.length > MAX_SCRATCH_BYTES) scratch = new ByteWriter(SCRATCH_BYTES)
  return bytes
}

/** Total over hostile input: returns a delta or throws `DecodeError`. */
export function decodeDelta(input: Uint8Array): RegisterDelta {
  const read = new ByteReader(input)
  const head = read.u8()
  if ((head & FORMAT_MASK) !== FORMAT || head > 0x7f) throw new DecodeError("unknown-version")
  const entries = readContext(read)
  const context = new Map(entries)
  const fingerprint = (head & FLAG_FINGERPRINT) === 0 ? null : read.copy(FINGERPRINT_BYTES)
  let dots: Dot[] = []
  let siblings: Sibling[] = []
  const count = read.count(MAX_CONTEXT_ENTRIES, 3)
  for (let index = 0; index < count; index++) {
    const dot = readDot(read, entries)
    const previous = dots.at(-1)
    if (previous !== undefined && compareDots(previous, dot) >= 0)
      throw new DecodeError("bad-value", "dots not in order")
    dots = append(dots, dot)
    const value = readValue(read)
    if (value === null) continue
    if (!covers(context, dot)) throw new DecodeError("bad-value", "a value outside its context")
    siblings = append(siblings, { ...value, dot })
  }
  const view = (head & FLAG_VIEW) === 0 ? null : readView(read, dots)
  read.end()
  if (view !== null && (fingerprint === null || dots.length < 2))
    throw new DecodeError("bad-value", "a view without a conflict")
  return { complete: (head & FLAG_COMPLETE) !== 0, context, dots, siblings, view, fingerprint }
}

/** Clocks are distances from the highest, since most entries of a document in use are near it. */
function writeContext(write: ByteWriter, entries: readonly (readonly [string, number])[]): void {
  write.varint(entries.length)
  if (entries.length === 0) return
  const highest = Math.max(...entries.map((entry) => entry[1]))
  writeU56(write, highest)
  for (const entry of entries) writeIncarnation(write, entry[0]).varint(highest - entry[1])
}

function readContext(read: ByteReader): readonly (readonly [string, number])[] {
  const count = read.count(MAX_CONTEXT_ENTRIES, MIN_ENTRY_BYTES)
  if (count === 0) return []
  const highest = readU56(read)
  let entries: (readonly [string, number])[] = []
  let reached = false
  for (let index = 0; index < count; index++) {
    const incarnation = incarnationFromBytes(read.bytes(INCARNATION_BYTES))
    const hlc = highest - read.varint(highest)
    const previous = entries.at(-1)
    if (previous !== undefined && previous[0] >= incarnation)
      throw new DecodeError("bad-value", "context not in order")
    reached ||= hlc === highest
    entries = append(entries, [incarnation, hlc])
  }
  if (!reached) throw new DecodeError("bad-value", "a context below its own highest clock")
  return entries
}

/** Most dots equal their incarnation's entry in the context; a context of changed entries alone may not list it. */
function writeDot(write: ByteWriter, dot: Dot, context: Context, index: number): void {
  const seen = context.get(dot.incarnation)
  if (index >= 0 && seen !== undefined && seen >= dot.hlc) write.varint(index + 1).varint(seen - dot.hlc)
  else writeU56(writeIncarnation(write.varint(0), dot.incarnation), dot.hlc)
}

function readDot(read: ByteReader, entries: readonly (readonly [string, number])[]): Dot {
  const reference = read.varint(entries.length)
  if (reference === 0) {
    const incarnation = incarnationFromBytes(read.bytes(INCARNATION_BYTES))
    const dot = { incarnation, hlc: readU56(read) }
    const known = entries.find((entry) => entry[0] === incarnation)
    if (known !== undefined && known[1] >= dot.hlc)
      throw new DecodeError("bad-value", "a dot not in shortest form")
    return dot
  }
  const entry = entries[reference - 1] as readonly [string, number]
  return { incarnation: entry[0], hlc: entry[1] - read.varint(entry[1]) }
}

function writeView(write: ByteWriter, view: DeltaView, dots: readonly Dot[]): void {
  if (view.type === "inline") writeValue(write.varint(0), view.value)
  else write.varint(dots.findIndex((dot) => sameDot(dot, view.dot)) + 1)
}

function readView(read: ByteReader, dots: readonly Dot[]): DeltaView {
  const reference = read.varint(dots.length)
  if (reference > 0) return { type: "sibling", dot: dots[reference - 1] as Dot }
  const value: HashedValue | null = readValue(read)
  if (value === null) throw new DecodeError("bad-value", "a view without a value")
  return { type: "inline", value }
}

function writeU56(write: ByteWriter, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  write
    .u8(high >>> 16)
    .u16(high & 0xffff)
    .u32(value % 0x1_0000_0000)
}

function readU56(read: ByteReader): number {
  const high = read.u8() * 0x1_0000 + read.u16()
  if (high > MAX_U56_HIGH) throw new DecodeError("bad-number", "over 53 bits")
  return high * 0x1_0000_0000 + read.u32()
}

/** Most lists have one item: the first `push` would make room for sixteen more. */
function append<T>(list: T[], item: T): T[] {
  if (list.length === 0) return [item]
  list.push(item)
  return list
}

/** Index of an incarnation among the entries, or -1. Searches linearly the few entries that most documents have. */
function incarnationFinder(entries: readonly (readonly [string, number])[]): (incarnation: string) => number {
  if (entries.length <= FEW) return (incarnation) => entries.findIndex((entry) => entry[0] === incarnation)
  const indices = new Map(entries.map(([incarnation], index) => [incarnation, index]))
  return (incarnation) => indices.get(incarnation) ?? -1
}

const SCRATCH_BYTES = 4096
const MAX_SCRATCH_BYTES = 65_536
/** Used only within one call; replaced when a long delta has made it large. */
let scratch = new ByteWriter(SCRATCH_BYTES)
