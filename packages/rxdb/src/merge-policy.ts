import { foldView, laterWins, mergeFieldValues, type MergeHandler, type RegisterState } from "@dunlin/core"
import type { RxCollection, RxConflictHandler } from "rxdb"
import { defaultConflictHandler } from "rxdb/plugins/core"
import { assertDocument, type DocumentData, type DocumentShape } from "./document-shape.ts"
import { createPatience, NoAnswerError } from "./within-time.ts"

/** How a collection merges concurrent writes. */
export interface MergePolicy {
  readonly mergesFields: boolean
  /**
   * The same state with its view, and what went wrong on the way. Rejects with `NoAnswerError` when the room is left before
   * the handler answers: the later write, which is shown after a handler that failed, is not what it would have said.
   */
  fold(key: string, state: RegisterState): Promise<FoldedState>
}

export interface FoldedState {
  readonly state: RegisterState
  readonly failures: readonly { readonly reason: string; readonly cause?: unknown }[]
}

const MERGES_FIELDS = Symbol.for("dunlin.rxdb.merge-fields")

/**
 * A ready conflict handler: concurrent edits of different top-level fields both survive, the later edit of one
 * field wins, and a deletion wins over edits that its author had not seen. Use it as `conflictHandler` of a collection.
 */
export function mergeFields<T>(): RxConflictHandler<T> {
  const handler: RxConflictHandler<T> & { readonly [MERGES_FIELDS]: true } = {
    [MERGES_FIELDS]: true,
    isEqual: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    // RxDB's own replications keep no field clocks: for them the newer write stands, as a whole.
    resolve: (input) => Promise.resolve(input.newDocumentState),
  }
  return handler
}

export function isMergeFields(handler: RxConflictHandler<DocumentData>): boolean {
  return MERGES_FIELDS in handler
}

export function mergePolicy(
  collection: RxCollection,
  shape: DocumentShape,
  leaving: AbortSignal,
): MergePolicy {
  const mergesFields = isMergeFields(collection.conflictHandler)
  const withinTime = createPatience({ leaving })
  const handlerFor = mergesFields ? () => mergeFieldValues : applicationHandler(collection, shape)
  return {
    mergesFields,
    async fold(key, state) {
      const { view, failures } = await foldView(state.siblings, {
        handler: handlerFor(key),
        refuses: (value) => shape.refusal(key, value),
        limit: withinTime,
      })
      const unanswered = failures.find(({ cause }) => cause instanceof NoAnswerError)
      if (unanswered !== undefined && leaving.aborted) throw unanswered.cause
      return { state: { ...state, view }, failures }
    },
  }
}

/** RxDB's default handler would keep the earliest write: it is replaced by "later wins". */
function applicationHandler(collection: RxCollection, shape: DocumentShape): (key: string) => MergeHandler {
  const { conflictHandler } = collection
  if (conflictHandler === defaultConflictHandler) return () => laterWins
  const keepsOperations = collection.schema.jsonSchema.crdt !== undefined
  return (key) => async (earlier, later) => {
    // RxDB's handler replays operations, and none takes back a deletion. Here a deletion comes without operations.
    if (keepsOperations && (earlier.deleted || later.deleted)) return earlier.deleted ? earlier : later
    const resolved: unknown = await conflictHandler.resolve(
      { realMasterState: shape.documentOf(key, earlier), newDocumentState: shape.documentOf(key, later) },
      "dunlin",
    )
    assertDocument(resolved)
    return shape.valueOf(resolved)
  }
}
