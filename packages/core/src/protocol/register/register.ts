import { compareBytes } from "../byte-order.ts"
import { sameBytes } from "../same-bytes.ts"
import { RegisterError } from "./register-error.ts"
import {
  compareDots,
  type Context,
  covers,
  type Dot,
  joinContexts,
  MAX_CONTEXT_ENTRIES,
  sameContext,
  sameDot,
} from "./dot.ts"
import { stateFingerprint } from "./state-hash.ts"
import { type HashedValue, withoutDot } from "./value.ts"

/** A write that no other write here has overwritten. Several siblings are a conflict, which is shown as the view. */
export interface Sibling extends HashedValue {
  readonly dot: Dot
}

/** The state of one document: an element of a join-semilattice. */
export interface RegisterState {
  readonly context: Context
  /** In the order of `compareDots`. */
  readonly siblings: readonly Sibling[]
  /** What several siblings merge to; null if there are fewer than two, and until `foldView` has filled it in. */
  readonly view: HashedValue | null
}

/** What a reader holds: sent to ask for the rest. */
export interface RegisterSummary {
  readonly context: Context
  /** The first bytes of the state hash; null for nothing. */
  readonly fingerprint: Uint8Array | null
}

/** An element of the same semilattice, without the values that the reader is known to hold. */
export interface RegisterDelta {
  /** Whether `context` is all of the sender's; otherwise it has only the entries that changed. */
  readonly complete: boolean
  readonly context: Context
  /** Every sibling of the sender, in the order of `compareDots`. */
  readonly dots: readonly Dot[]
  /** Those of them whose values travel. */
  readonly siblings: readonly Sibling[]
  readonly view: DeltaView | null
  /** The first bytes of the sender's state hash; null if the delta alone determines it. */
  readonly fingerprint: Uint8Array | null
}

/** The view that a delta brings: in full, or as the dot of a sibling that it equals. */
export type DeltaView =
  | { readonly type: "inline"; readonly value: HashedValue }
  | { readonly type: "sibling"; readonly dot: Dot }

/** What came of joining a delta. */
export type RegisterJoin =
  /** The delta lists a write whose value is neither in it nor here. Nothing changed; ask with our summary. */
  | { readonly type: "incomplete" }
  /** More writers than a context may list: nothing changed. */
  | { readonly type: "context-full" }
  /** Nothing would be left: each side says that the writes of the other were overwritten, by none that it has. Nothing changed. */
  | { readonly type: "contradicts" }
  | {
      readonly type: "joined"
      /** Its view is null when several siblings must still be folded. */
      readonly state: RegisterState
      readonly changed: boolean
      /** Previous siblings that a joined write overwrites. */
      readonly overwritten: readonly Sibling[]
      /** The sender's summary when it is known to lack something held here. */
      readonly senderLacks: RegisterSummary | null
    }

/** A document that nobody has written: the least element, which changes nothing when it is joined. */
export const EMPTY_REGISTER: RegisterState = { context: new Map(), siblings: [], view: null }
/** The summary of a reader that holds nothing. */
export const EMPTY_SUMMARY: RegisterSummary = { context: new Map(), fingerprint: null }

/**
 * The register of a single write, to be joined with what is held. Its author saw the writes in `seen` and nothing else.
 * Throws `RegisterError` "context-full".
 */
export function writeRegister(seen: Context, dot: Dot, value: HashedValue): RegisterState {
  if (seen.size >= MAX_CONTEXT_ENTRIES && !seen.has(dot.incarnation))
    throw new RegisterError(
      "context-full",
      `This document was written in ${seen.size} sessions, more than a context may list. Copy it to a new key.`,
    )
  const context = new Map(seen).set(dot.incarnation, dot.hlc)
  return { context, siblings: [{ ...value, dot }], view: null }
}

/** What is shown: the only sibling, or the view of several; null for an empty register or one not folded yet. */
export function shownValue(state: RegisterState): HashedValue | null {
  return state.siblings.length > 1 ? state.view : (state.siblings[0] ?? null)
}

/** Whether there is a conflict whose view `foldView` has yet to make. Until then the state has no delta and no summary. */
export function needsFold(state: RegisterState): boolean {
  return state.siblings.length > 1 && state.view === null
}

/** The whole state, with every value. */
export function wholeDelta(state: RegisterState): RegisterDelta {
  return deltaFor(state, EMPTY_SUMMARY)
}

/** The summary of a state whose view is folded. */
export function summarizeRegister(state: RegisterState): RegisterSummary {
  return state.context.size === 0
    ? EMPTY_SUMMARY
    : { context: state.context, fingerprint: stateFingerprint(state) }
}

/** What a reader with this summary needs, for a state whose view is folded. */
export function deltaFor(state: RegisterState, summary: RegisterSummary): RegisterDelta {
  if (summary.context.size === 0)
    return assembleDelta(state, { complete: true, context: state.context, siblings: state.siblings })
  // With equal contexts only values or views can differ: a dot was used twice, or conflict handlers disagree.
  const valuesDiffer =
    summary.fingerprint !== null &&
    sameContext(state.context, summary.context) &&
    !sameBytes(summary.fingerprint, stateFingerprint(state))
  const siblings = valuesDiffer
    ? state.siblings
    : state.siblings.filter((sibling) => !covers(summary.context, sibling.dot))
  return assembleDelta(state, { complete: true, context: state.context, siblings })
}

/** What a peer that holds `before` needs after a change here: only the context entries that changed. */
export function pushDelta(before: RegisterState, after: RegisterState): RegisterDelta {
  const context = new Map<string, number>()
  for (const [incarnation, hlc] of after.context)
    if (before.context.get(incarnation) !== hlc) context.set(incarnation, hlc)
  // What was overwritten would stay in place at the receiver if the context did not list it.
  for (const { dot } of before.siblings)
    if (!after.siblings.some((kept) => sameDot(kept.dot, dot)))
      context.set(dot.incarnation, after.context.get(dot.incarnation) ?? dot.hlc)
  const siblings = after.siblings.filter(
    (sibling) =>
      !before.siblings.some((held) => sameDot(held.dot, sibling.dot) && sameBytes(held.hash, sibling.hash)),
  )
  for (const { dot } of siblings)
    if (!covers(context, dot)) context.set(dot.incarnation, after.context.get(dot.incarnation) ?? dot.hlc)
  return assembleDelta(after, { complete: context.size === after.context.size, context, siblings })
}

/**
 * The least state above both: commutative, associative and idempotent, in whatever order and however often deltas come.
 * Pure: `local` stays as it was, and the result shares parts with both.
 */
export function joinRegister(local: RegisterState, delta: RegisterDelta): RegisterJoin {
  if (local.context.size === 0 && isWholeWrite(delta)) {
    // Most of a first sync: one write, and nothing to join it with.
    const state = { context: delta.context, siblings: delta.siblings, view: null }
    return { type: "joined", state, changed: true, overwritten: [], senderLacks: null }
  }
  const merged = mergeSiblings(local, delta)
  if (merged === null) return { type: "incomplete" }
  // No honest pair of states joins to nothing, since nothing overwrites the newest write of the two. A context alone would
  // erase the document and leave no tombstone. It is not "incomplete": the whole state would say the same, again and again.
  if (merged.siblings.length === 0 && local.context.size + delta.context.size > 0)
    return { type: "contradicts" }
  const context = joinContexts(local.context, delta.context)
  if (context.size > MAX_CONTEXT_ENTRIES) return { type: "context-full" }
  const contentChanged = merged.changed || context !== local.context
  const bare: RegisterState = { context, siblings: merged.siblings, view: null }
  const view = chooseView(bare, contentChanged ? null : local.view, delta)
  const state = view === null ? bare : { ...bare, view }
  return {
    type: "joined",
    state,
    changed: contentChanged || view !== local.view,
    overwritten: merged.overwritten,
    senderLacks: delta.complete ? missingAtSender(state, delta) : null,
  }
}

/** Whether the delta is a complete state of a single write, with its value. */
function isWholeWrite({ complete, context, dots, siblings, fingerprint }: RegisterDelta): boolean {
  return complete && fingerprint === null && dots.length === 1 && siblings.length === 1 && context.size > 0
}

function assembleDelta(
  state: RegisterState,
  { complete, context, siblings }: Pick<RegisterDelta, "complete" | "context" | "siblings">,
): RegisterDelta {
  const view = deltaView(state)
  const selfContained = view === null && siblings.length === state.siblings.length
  const dots = state.siblings.map((sibling) => sibling.dot)
  return {
    complete,
    context,
    dots,
    siblings,
    view,
    fingerprint: selfContained ? null : stateFingerprint(state),
  }
}

function deltaView({ siblings, view }: RegisterState): DeltaView | null {
  if (siblings.length < 2 || view === null) return null
  const same = siblings.findLast((sibling) => sameBytes(sibling.hash, view.hash))
  return same === undefined ? { type: "inline", value: view } : { type: "sibling", dot: same.dot }
}

interface MergedSiblings {
  readonly siblings: readonly Sibling[]
  readonly overwritten: readonly Sibling[]
  readonly changed: boolean
}

function mergeSiblings(local: RegisterState, delta: RegisterDelta): MergedSiblings | null {
  const held = siblingFinder(local.siblings)
  const received = siblingFinder(delta.siblings)
  const listed = siblingFinder(delta.dots.map((dot) => ({ dot })))
  const siblings: Sibling[] = []
  const overwritten: Sibling[] = []
  let changed = false
  for (const dot of delta.dots) {
    const mine = held(dot)
    const theirs = received(dot)
    if (mine !== undefined) {
      // Two values under one dot come from a copied or rolled-back device: the greater hash wins on every peer.
      const wins = theirs !== undefined && compareBytes(theirs.hash, mine.hash) > 0
      if (wins) changed = true
      siblings.push(wins ? theirs : mine)
    } else if (!covers(local.context, dot)) {
      if (theirs === undefined) return null
      changed = true
      siblings.push(theirs)
    }
  }
  for (const mine of local.siblings) {
    if (listed(mine.dot) !== undefined) continue
    if (covers(delta.context, mine.dot)) overwritten.push(mine)
    else siblings.push(mine)
  }
  if (overwritten.length > 0) changed = true
  if (!changed) return { siblings: local.siblings, overwritten, changed }
  return { siblings: siblings.sort((a, b) => compareDots(a.dot, b.dot)), overwritten, changed }
}

/** Either view may stand for the state; the greater hash wins on every peer, so views converge under any handler. */
function chooseView(
  state: RegisterState,
  mine: HashedValue | null,
  delta: RegisterDelta,
): HashedValue | null {
  if (state.siblings.length < 2) return null
  const theirs = viewOfDelta(state, delta)
  if (mine === null || theirs === null) return mine ?? theirs
  return compareBytes(theirs.hash, mine.hash) > 0 ? theirs : mine
}

/** The sender's view, if it belongs to exactly this state. */
function viewOfDelta(state: RegisterState, { view, fingerprint }: RegisterDelta): HashedValue | null {
  if (view === null || fingerprint === null) return null
  const value = view.type === "inline" ? view.value : siblingFinder(state.siblings)(view.dot)
  if (value === undefined) return null
  return sameBytes(stateFingerprint({ ...state, view: value }), fingerprint) ? withoutDot(value) : null
}

function missingAtSender(state: RegisterState, delta: RegisterDelta): RegisterSummary | null {
  if (delta.fingerprint === null && saysAll(delta, state)) return null
  const theirs: RegisterState = { context: delta.context, siblings: delta.siblings, view: null }
  const fingerprint = delta.fingerprint ?? stateFingerprint(theirs)
  // The sender's state is below ours after the join, so another hash can only mean that it lacks something. A
  // state still to be folded is never the sender's: the delta would have brought its view.
  if (!needsFold(state) && sameBytes(stateFingerprint(state), fingerprint)) return null
  return { context: delta.context, fingerprint }
}

/** Whether the delta is the whole state. Decides the common case, a delta with every value, without hashing. */
function saysAll({ context, siblings }: RegisterDelta, state: RegisterState): boolean {
  return (
    state.siblings.length === siblings.length &&
    state.siblings.every((mine, at) => {
      const theirs = siblings[at]
      return theirs !== undefined && sameDot(mine.dot, theirs.dot) && sameBytes(mine.hash, theirs.hash)
    }) &&
    sameContext(state.context, context)
  )
}

/** Linear for the few siblings of real documents, by table for the many of a hostile one. */
export function siblingFinder<T extends { readonly dot: Dot }>(
  siblings: readonly T[],
): (dot: Dot) => T | undefined {
  if (siblings.length <= 8) return (dot) => siblings.find((sibling) => sameDot(sibling.dot, dot))
  const byDot = new Map(siblings.map((sibling) => [`${sibling.dot.incarnation}${sibling.dot.hlc}`, sibling]))
  return (dot) => byDot.get(`${dot.incarnation}${dot.hlc}`)
}
