import {
  EMPTY_REGISTER,
  encodeDelta,
  type EntryChange,
  pushDelta,
  type RegisterState,
  shownValue,
  stateHash,
} from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { JOIN_CONTEXT } from "./collection-rows.ts"
import type { TrafficSink } from "./document-traffic.ts"
import type { DocumentShape, Row } from "./document-shape.ts"
import type { Held, RegisterStore } from "./register-store.ts"
import type { SerialQueue } from "./serial-queue.ts"
import type { SidecarRecord } from "./sidecar-record.ts"

export interface LocalChangesDeps {
  readonly collection: RxCollection
  readonly shape: DocumentShape
  readonly store: RegisterStore
  readonly queue: SerialQueue
  readonly traffic: TrafficSink
  readonly changed: (changes: readonly EntryChange[]) => void
  readonly failed: (cause: unknown) => void
}

/** The part of a change event that matters here. */
interface RowEvent {
  readonly documentData: Row
  /** Missing for an insert, null for an insert over a tombstone. */
  readonly previousDocumentData?: Row | null
}

/** Reports every write that is not ours: of the application, of other tabs, of other replications. */
export function watchLocalChanges(deps: LocalChangesDeps): { stop(): void } {
  const { collection, shape, store, queue, changed, failed } = deps
  const tokenSuffix = `-${collection.database.token}`
  /** State before the first change not reported yet; null when only storage knows it. */
  const beforeByKey = new Map<string, RegisterState | null>()

  const reportNow = (events: readonly RowEvent[]): boolean => {
    const changes: EntryChange[] = []
    for (const { documentData: row, previousDocumentData: previous } of events) {
      // Another tab's event may arrive after a join that was made upon it: then only storage tells the order.
      if (row._deleted || !row._rev.endsWith(tokenSuffix)) return false
      const after = store.ownState(row)
      const before = previous == null ? EMPTY_REGISTER : store.ownState(previous)
      if (after === null || before === null) return false
      changes.push(changeOf(shape.keyOf(row), before, after))
    }
    changed(changes)
    return true
  }

  const reportPending = async (): Promise<void> => {
    const befores = new Map(beforeByKey)
    beforeByKey.clear()
    const records = new Map<string, SidecarRecord>()
    const changes: EntryChange[] = []
    for (const held of await store.load([...befores.keys()])) {
      const record = lastingRecord(held)
      if (record !== null) records.set(held.key, record)
      changes.push(changeOf(held.key, befores.get(held.key) ?? null, held.state))
    }
    // A tombstone counts as durable when it outlives a cleanup.
    await store.putRecords(records)
    changed(changes)
  }

  const tell = (events: readonly RowEvent[]): void => {
    if (!deps.traffic.observed) return
    const documents = events.map(({ documentData: row }) =>
      shape.documentOf(shape.keyOf(row), shape.valueOf(row)),
    )
    deps.traffic.next({ direction: "sent", peer: null, documents })
  }

  const subscription = collection.storageInstance.changeStream().subscribe((bulk) => {
    if (bulk.context === JOIN_CONTEXT) return
    const events = bulk.events as unknown as readonly RowEvent[]
    tell(events)
    if (queue.idle() && beforeByKey.size === 0 && reportNow(events)) return
    const first = beforeByKey.size === 0
    for (const { documentData: row, previousDocumentData: previous } of events) {
      const key = shape.keyOf(row)
      if (!beforeByKey.has(key)) beforeByKey.set(key, previous == null ? null : store.ownState(previous))
    }
    if (first) queue.run(reportPending).catch(failed)
  })
  return { stop: () => subscription.unsubscribe() }
}

function changeOf(key: string, before: RegisterState | null, after: RegisterState): EntryChange {
  return {
    key,
    before: before === null || before.context.size === 0 ? null : stateHash(before),
    stateHash: after.context.size === 0 ? null : stateHash(after),
    ...(before === null || after.context.size === 0 ? {} : { delta: encodeDelta(pushDelta(before, after)) }),
  }
}

/** A record for what the row will not keep: a deletion, or a state that the row tells only half of. */
function lastingRecord({ row, record, state }: Held): SidecarRecord | null {
  if (shownValue(state)?.deleted !== true) return null
  if (record !== null && record.state.context === state.context) return null
  return {
    state,
    revision: record?.revision === row?._rev ? (record?.revision ?? null) : null,
    hidden: false,
  }
}
