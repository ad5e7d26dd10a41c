import type { ByteWriter } from "../byte-writer.ts"
import { DecodeError } from "../decode-error.ts"

/** One start of one process or tab: 64 random bits as 16 lower-case hex digits, minted at its first write. */
export type Incarnation = string

/**
 * Names one write: no two writes share a dot. Dots as in dotted version vectors (Preguiça et al., "Dotted Version Vectors",
 * 2010), with a hybrid logical clock in place of the counter.
 */
export interface Dot {
  readonly incarnation: Incarnation
  /** Hybrid logical clock, see `hlcFromMillis`. */
  readonly hlc: number
}

/** The writes an author had seen: for each incarnation, all up to this clock. At most 16,384 incarnations. */
export type Context = ReadonlyMap<Incarnation, number>

export const MAX_CONTEXT_ENTRIES = 16_384
export const INCARNATION_BYTES = 8

/** The order in which siblings are folded, equal on every peer: by clock, then by incarnation. */
export function compareDots(a: Dot, b: Dot): number {
  if (a.hlc !== b.hlc) return a.hlc - b.hlc
  if (a.incarnation === b.incarnation) return 0
  return a.incarnation < b.incarnation ? -1 : 1
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.hlc === b.hlc && a.incarnation === b.incarnation
}

/** Whether an author with this context had seen the write. */
export function covers(context: Context, dot: Dot): boolean {
  const seen = context.get(dot.incarnation)
  return seen !== undefined && seen >= dot.hlc
}

/** Whether `outer` has seen all that `inner` has. */
export function includesContext(outer: Context, inner: Context): boolean {
  for (const [incarnation, hlc] of inner) if (!((outer.get(incarnation) ?? -1) >= hlc)) return false
  return true
}

export function sameContext(a: Context, b: Context): boolean {
  return a.size === b.size && includesContext(a, b) && includesContext(b, a)
}

/** The pointwise maximum; returns `a` itself if `b` adds nothing. */
export function joinContexts(a: Context, b: Context): Context {
  if (includesContext(a, b)) return a
  const joined = new Map(a)
  for (const [incarnation, hlc] of b)
    if (!((joined.get(incarnation) ?? -1) >= hlc)) joined.set(incarnation, hlc)
  return joined
}

/** Entries by incarnation: the one order in which contexts are hashed and encoded. */
export function sortedEntries(context: Context): readonly (readonly [Incarnation, number])[] {
  const [first] = context
  // Most contexts have one entry, and are needed in this order several times per document.
  if (first !== undefined && context.size === 1) return [first]
  return [...context].sort((a, b) => (a[0] < b[0] ? -1 : 1))
}

/** Takes 8 bytes; throws `DecodeError` "bad-value" for any other number. */
export function incarnationFromBytes(bytes: Uint8Array): Incarnation {
  if (bytes.length !== INCARNATION_BYTES) throw new DecodeError("bad-value", "an incarnation has 8 bytes")
  for (let index = 0; index < INCARNATION_BYTES; index++) {
    const byte = bytes[index] as number
    codes[index * 2] = HEX.charCodeAt(byte >>> 4)
    codes[index * 2 + 1] = HEX.charCodeAt(byte & 15)
  }
  // In one call: a string concatenated letter by letter is a chain, which every use of it must walk.
  return String.fromCharCode.apply(null, codes)
}

/** Scratch space, used only within one call. */
const codes: number[] = Array.from({ length: 2 * INCARNATION_BYTES }, () => 0)

export function writeIncarnation(write: ByteWriter, incarnation: Incarnation): ByteWriter {
  for (let index = 0; index < INCARNATION_BYTES; index++)
    write.u8((digit(incarnation, index * 2) << 4) | digit(incarnation, index * 2 + 1))
  return write
}

/** The value of a lower-case hex digit. */
function digit(text: string, index: number): number {
  const code = text.charCodeAt(index)
  return code <= 57 ? code - 48 : code - 87
}

const HEX = "0123456789abcdef"
