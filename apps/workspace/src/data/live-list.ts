import { createState, type State } from "@dunlin/core"
import { getHeightOfRevision, type RxCollection } from "rxdb/plugins/core"
import { awaitState } from "./await-state.ts"

/** All entries of a collection, kept in memory and in order; null until the first read. */
export interface LiveList<T> extends State<readonly T[] | null> {
  /** The entries once they are read. */
  ready(): Promise<readonly T[]>
  close(): void
}

export interface LiveListOptions<T> {
  readonly read: (row: Readonly<Record<string, unknown>>) => T
  readonly compare: (a: T, b: T) => number
}

/** Pause between two updates of the screen. A burst of 500 remote changes then costs a few renders, not 500. */
const SETTLE_MS = 100

export function createLiveList<Row, T extends { readonly id: string }>(
  collection: RxCollection<Row>,
  { read, compare }: LiveListOptions<T>,
): LiveList<T> {
  const state = createState<readonly T[] | null>(null)
  /** Null for deleted entries. */
  const changed = new Map<string, T | null>()
  let timer: ReturnType<typeof setTimeout> | null = null
  const heights = new Map<string, number>()
  let isClosed = false

  /**
   * Records a revision. False for an old one: another tab's event may arrive after ours, although ours was made on top
   * of it.
   */
  function noteRevision(id: string, revision: string): boolean {
    const [height, known] = [getHeightOfRevision(revision), heights.get(id) ?? 0]
    heights.set(id, Math.max(height, known))
    return height >= known
  }

  // An RxDB query would map and sort all entries again on each change.
  const subscription = collection.eventBulks$.subscribe(({ events, isLocal }) => {
    if (isLocal) return
    for (const { documentId, operation, documentData } of events) {
      if (!noteRevision(documentId, documentData._rev)) continue
      changed.set(documentId, operation === "DELETE" ? null : read({ ...documentData }))
    }
    if (timer === null) publish()
  })
  void collection
    .find()
    .exec()
    .then(
      (documents) => {
        // What changed during the read is in `changed`, and newer.
        for (const { primary, revision } of documents) noteRevision(primary, revision)
        state.set(
          documents
            .map((document) => read(document.toJSON() as Readonly<Record<string, unknown>>))
            .sort(compare),
        )
        publish()
      },
      // The database was closed before it was read.
      () => undefined,
    )

  function publish(): void {
    timer = null
    const entries = state.get()
    if (entries === null || changed.size === 0 || isClosed) return
    timer = setTimeout(publish, SETTLE_MS)
    state.set(withChanges(entries, changed, compare))
    changed.clear()
  }

  return {
    ...state,
    ready: () => awaitState(state, (entries) => entries !== null),
    close() {
      isClosed = true
      subscription.unsubscribe()
      if (timer !== null) clearTimeout(timer)
    },
  }
}

/** Entries in order, with some of them changed; only those are sorted. */
function withChanges<T extends { readonly id: string }>(
  entries: readonly T[],
  changed: ReadonlyMap<string, T | null>,
  compare: (a: T, b: T) => number,
): readonly T[] {
  const coming = [...changed.values()].filter((entry) => entry !== null).sort(compare)
  const merged: T[] = []
  let next = 0
  for (const entry of entries) {
    if (changed.has(entry.id)) continue
    for (let first = coming[next]; first !== undefined && compare(first, entry) < 0; first = coming[next]) {
      merged.push(first)
      next++
    }
    merged.push(entry)
  }
  return [...merged, ...coming.slice(next)]
}
