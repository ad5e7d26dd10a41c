import { sameBytes } from "../same-bytes.ts"
import { canonicalJson, cloneJson, type JsonObject } from "./json.ts"
import type { Sibling } from "./register.ts"
import { type HashedValue, hashValue, type RegisterValue, withoutDot } from "./value.ts"

/** One side of a merge; a clone that the handler may keep or change. `millisFromHlc` turns its clock into a time. */
export interface MergeSide extends RegisterValue {
  /** Clock of the write; for a result of the fold so far, clock of the latest write in it. */
  readonly hlc: number
}

/** The application's conflict handler. Deterministic if it can be; anything at all if it cannot. */
export type MergeHandler = (earlier: MergeSide, later: MergeSide) => RegisterValue | Promise<RegisterValue>

/** How siblings are merged, and within which limits. */
export interface FoldOptions {
  readonly handler: MergeHandler
  /** Why the value cannot be shown here, such as a schema that refuses it; null when it can. */
  readonly refuses?: (value: RegisterValue) => string | null
  /** Rejects when the work takes too long. */
  readonly limit?: <T>(work: Promise<T>) => Promise<T>
}

/** What several siblings merged to. */
export interface FoldedView {
  /** The payload is a copy. A view is deleted if that is the result of the merge. */
  readonly view: HashedValue
  /** Each call in which the handler failed and the later sibling was taken instead. */
  readonly failures: readonly FoldFailure[]
}

/** One call of the handler that threw, ran out of time, or returned what cannot be shown. */
export interface FoldFailure {
  readonly reason: string
  readonly cause?: unknown
}

/** RxDB's default handler would keep the earliest write; this is what people expect instead. */
export const laterWins: MergeHandler = (_earlier, later) => later

/** Folds siblings, given in the order of `compareDots`, into what is shown. Always yields a view. */
export async function foldView(siblings: readonly Sibling[], options: FoldOptions): Promise<FoldedView> {
  const [first, ...rest] = siblings
  if (first === undefined) throw new RangeError("nothing to fold")
  const failures: FoldFailure[] = []
  // What the handler returned goes into its next call unchanged; a deleted payload is dropped only at the end.
  let folded: MergeSide = side(first, first.dot.hlc)
  let view = withoutDot(first)
  for (const sibling of rest) {
    if (sameBytes(view.hash, sibling.hash)) continue
    const later = side(sibling, sibling.dot.hlc)
    const outcome = await mergeTwo(inOrder(folded), inOrder(later), options)
    if (outcome.type === "failed") failures.push(outcome.failure)
    folded = outcome.type === "merged" ? { ...outcome.value, hlc: later.hlc } : later
    view = outcome.type === "merged" ? hashValue(outcome.value) : withoutDot(sibling)
  }
  return { view, failures }
}

type MergeOutcome =
  | { readonly type: "merged"; readonly value: RegisterValue }
  | { readonly type: "failed"; readonly failure: FoldFailure }

async function mergeTwo(
  earlier: MergeSide,
  later: MergeSide,
  { handler, refuses, limit }: FoldOptions,
): Promise<MergeOutcome> {
  try {
    const result = handler(earlier, later)
    const merged: unknown = isPromise(result) ? await (limit === undefined ? result : limit(result)) : result
    if (!isValue(merged)) return failed("the conflict handler returned no document")
    const value = clone(merged)
    const refusal = refuses?.(value) ?? null
    return refusal === null
      ? { type: "merged", value }
      : failed(`the conflict handler's result was refused: ${refusal}`)
  } catch (error) {
    return failed("the conflict handler failed", error)
  }
}

function failed(reason: string, cause?: unknown): MergeOutcome {
  return { type: "failed", failure: cause === undefined ? { reason } : { reason, cause } }
}

function side({ deleted, payload, fields }: RegisterValue, hlc: number): MergeSide {
  return fields === undefined ? { deleted, payload, hlc } : { deleted, payload, fields, hlc }
}

/**
 * A copy with its fields in the order in which they travel. The author's program may have them in another order, and a
 * handler that compares texts would get a different result there than everywhere else.
 */
function inOrder(value: MergeSide): MergeSide {
  return clone(value, JSON.parse(canonicalJson(value.payload)) as JsonObject)
}

function clone<T extends RegisterValue>(value: T, payload = cloneJson(value.payload)): T {
  const copied = { ...value, payload }
  return value.fields === undefined ? copied : { ...copied, fields: { ...value.fields } }
}

function isValue(value: unknown): value is RegisterValue {
  if (typeof value !== "object" || value === null) return false
  const { deleted, payload } = value as { readonly deleted?: unknown; readonly payload?: unknown }
  return (
    typeof deleted === "boolean" && typeof payload === "object" && payload !== null && !Array.isArray(payload)
  )
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { readonly then?: unknown }).then === "function"
  )
}
