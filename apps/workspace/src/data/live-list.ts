import { createState, type State } from "@dunlin/core"
import type { RxCollection, RxDocument } from "rxdb/plugins/core"

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

/** Between two updates of the screen. A burst of 500 remote changes then costs a few renders, not 500. */
const SETTLE_MS = 100

export function createLiveList<Row, T>(
  collection: RxCollection<Row>,
  { read, compare }: LiveListOptions<T>,
): LiveList<T> {
  const state = createState<readonly T[] | null>(null)
  // RxDB hands out the same object for an unchanged entry, so only what changed is read again.
  const readByDocument = new WeakMap<object, T>()
  let waiting: readonly RxDocument<Row>[] | null = null
  let timer: ReturnType<typeof setTimeout> | null = null

  const subscription = collection.find().$.subscribe((documents) => {
    waiting = documents
    if (timer === null) publish()
  })

  function publish(): void {
    if (waiting === null) {
      timer = null
      return
    }
    const entries = waiting.map(entryOf).sort(compare)
    waiting = null
    timer = setTimeout(publish, SETTLE_MS)
    state.set(entries)
  }

  function entryOf(document: RxDocument<Row>): T {
    const known = readByDocument.get(document)
    if (known !== undefined) return known
    const entry = read(document.toJSON() as Readonly<Record<string, unknown>>)
    readByDocument.set(document, entry)
    return entry
  }

  return {
    ...state,
    ready: () =>
      new Promise((resolve) => {
        const present = state.get()
        if (present !== null) return resolve(present)
        const end = state.subscribe((entries) => {
          if (entries === null) return
          end()
          resolve(entries)
        })
      }),
    close() {
      subscription.unsubscribe()
      if (timer !== null) clearTimeout(timer)
    },
  }
}
