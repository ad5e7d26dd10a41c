import {
  compareBytes,
  type Context,
  type Dot,
  type FieldClocks,
  type HashedValue,
  type RegisterValue,
} from "@dunlin/core"
import { getHeightOfRevision } from "rxdb/plugins/core"
import { bytesFromHex, hexFromBytes } from "./byte-text.ts"
import type { DocumentData, Row } from "./document-shape.ts"
import type { StampedLengths } from "./stored-attachments.ts"

/** Where a row keeps its place in the register: in `_meta`, written by the very write that it describes. */
export const STAMP_FIELD = "dunlin"

/** The height at which every insert is stamped, also one that RxDB then makes the successor of a tombstone. */
export const INSERTED = 1

/** What a row says about itself. A document without conflict needs nothing else. */
export interface Stamp {
  readonly context: Context
  /** The write that the row shows; null when it shows a merge, whose siblings are in the sidecar. */
  readonly dot: Dot | null
  /** Height of the revision that was stamped. */
  readonly height: number
  /** Hash of the content as it was stamped; it stays behind when a schema migration changes the content. */
  readonly hash: Uint8Array
  readonly fields?: FieldClocks
  /** The content did not go through `push.modifier` yet, or its shared form is in the sidecar. */
  readonly raw?: true
  /** The write that put the document over a tombstone, whose stamp RxDB drops: its author may not have known what was deleted. */
  readonly began?: Dot
}

type StoredDot = readonly [incarnation: string, hlc: number]

/** The JSON form; a type alias, so that it fits RxDB's index signature of `_meta`. */
type StoredStamp = {
  /**
   * Incarnations and clocks, alternating; left out where the dot says it all. Not an object: objects whose property
   * names differ in every document take an engine ten times as long, and more memory than the document.
   */
  readonly context?: readonly (string | number)[]
  readonly dot?: StoredDot
  readonly height: number
  readonly hash: string
  readonly fields?: FieldClocks
  readonly raw?: true
  readonly began?: StoredDot
  /** Lengths of attachments that the storage keeps in another form. */
  readonly lengths?: StampedLengths
}

export function storedStamp(
  { context, dot, hash, fields, raw, began }: Omit<Stamp, "height">,
  height: number,
  lengths?: StampedLengths,
): StoredStamp {
  const digits = hexFromBytes(hash)
  // The usual case in a first sync, where spreading absent fields would cost more than the rest of the stamp.
  const isPlain = fields === undefined && raw === undefined && began === undefined && lengths === undefined
  if (isPlain && saysAll(dot, context)) return { dot: storedDot(dot), height, hash: digits }
  return {
    ...(saysAll(dot, context) ? {} : { context: [...context].flat() }),
    ...(dot === null ? {} : { dot: storedDot(dot) }),
    height,
    hash: digits,
    ...(fields === undefined ? {} : { fields }),
    ...(raw === undefined ? {} : { raw }),
    ...(began === undefined ? {} : { began: storedDot(began) }),
    ...(lengths === undefined ? {} : { lengths }),
  }
}

const INCARNATION_DIGITS = 16

/** The row's stamp, whether or not it still fits the row; null when there is none that can be read. */
export function readStamp(row: Row): Stamp | null {
  const stored = storedIn(row)
  if (stored === null) return null
  const { context, dot, height, hash, fields, raw, began } = stored
  if (typeof height !== "number" || typeof hash !== "string") return null
  const clocks = readContext(context ?? dot)
  if (clocks === null) return null
  return {
    context: clocks,
    dot: dot === undefined ? null : dotOf(dot),
    height,
    hash: bytesFromHex(hash),
    ...(fields === undefined ? {} : { fields }),
    ...(raw === undefined ? {} : { raw }),
    ...(began === undefined ? {} : { began: dotOf(began) }),
  }
}

/** Lengths of attachments as the row's stamp tells them. */
export function lengthsInStamp(row: DocumentData): StampedLengths | undefined {
  const lengths = storedIn(row)?.lengths
  return Array.isArray(lengths) ? lengths : undefined
}

function storedIn(row: DocumentData): Partial<StoredStamp> | null {
  const stored = (row["_meta"] as Readonly<Record<string, unknown>> | undefined)?.[STAMP_FIELD]
  return typeof stored === "object" ? stored : null
}

function storedDot({ incarnation, hlc }: Dot): StoredDot {
  return [incarnation, hlc]
}

function dotOf(stored: StoredDot): Dot {
  return { incarnation: stored[0], hlc: stored[1] }
}

function saysAll(dot: Dot | null, context: Context): dot is Dot {
  return dot !== null && context.size === 1 && context.get(dot.incarnation) === dot.hlc
}

function readContext(stored: readonly (string | number)[] | undefined): Context | null {
  if (!Array.isArray(stored)) return null
  const clocks = new Map<string, number>()
  for (let at = 0; at < stored.length; at += 2) {
    const incarnation: unknown = stored[at]
    const hlc: unknown = stored[at + 1]
    if (typeof incarnation !== "string" || incarnation.length !== INCARNATION_DIGITS) return null
    if (!Number.isSafeInteger(hlc)) return null
    clocks.set(incarnation, hlc as number)
  }
  return clocks
}

export type Recognition =
  /** The stamp belongs to what the row shows. */
  | { readonly type: "stamped"; readonly stamp: Stamp }
  /** Written where the hook was not loaded, over a stamped row. */
  | { readonly type: "overwritten"; readonly stamp: Stamp }
  | { readonly type: "unstamped" }

/** Whether the stamp describes what the row shows. `content` is called only when the revision does not settle it. */
export function recognise(row: Row, content: () => HashedValue): Recognition {
  const stamp = readStamp(row)
  if (stamp === null) return { type: "unstamped" }
  const height = getHeightOfRevision(row._rev)
  // RxDB makes an insert over a tombstone its successor, after the insert was stamped.
  const isStamped = stamp.height === height || compareBytes(stamp.hash, content().hash) === 0
  return { type: isStamped ? "stamped" : "overwritten", stamp }
}

/** The row's value under the hash it was stamped with. */
export function stampedValue(value: RegisterValue, stamp: Stamp): HashedValue {
  const { deleted, payload } = value
  return stamp.fields === undefined
    ? { deleted, payload, hash: stamp.hash }
    : { deleted, payload, hash: stamp.hash, fields: stamp.fields }
}
