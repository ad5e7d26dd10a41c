import {
  type Clock,
  EMPTY_REGISTER,
  encodeDelta,
  type EntryChange,
  pushDelta,
  RegisterError,
  type RegisterState,
  shownValue,
  stateHash,
} from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { JOIN_CONTEXT } from "./collection-rows.ts"
import { type ConflictLog, resolvedConflict } from "./conflict-log.ts"
import type { TrafficSink } from "./document-traffic.ts"
import type { DocumentShape, Row } from "./document-shape.ts"
import type { Materialiser } from "./materialiser.ts"
import type { Modifiers } from "./modifiers.ts"
import type { Held, RegisterStore } from "./register-store.ts"
import type { SerialQueue } from "./serial-queue.ts"
import { accountsFor, revisionOf, type SidecarRecord } from "./sidecar-record.ts"
import { type UnheardRows, watchUnheardRows } from "./unheard-rows.ts"

export interface LocalChangesDeps {
  readonly collection: RxCollection
  readonly shape: DocumentShape
  readonly store: RegisterStore
  readonly materialiser: Materialiser
  readonly modifiers: Pick<Modifiers, "endPauses">
  readonly conflicts: ConflictLog
  readonly queue: SerialQueue
  readonly traffic: TrafficSink
  readonly clock: Clock
  readonly changed: (changes: readonly EntryChange[]) => void
  /** Some changes could not be reported; they are tried again. */
  readonly failed: (cause: unknown) => void
}

export interface LocalChanges {
  /** Resolves when every write completed before the call is reported or set aside; rejects when one can be neither now. */
  flush(): Promise<void>
  /** Rows that no event announced. */
  readonly unheard: UnheardRows
  /** Tries documents again that could not be read for a passing reason. */
  tryAgain(keys: readonly string[]): void
  /** The same at once. */
  tryNow(key: string): void
  /** Resolves when nothing is read any more. */
  stop(): Promise<void>
}

/** The part of a change event that matters here. */
interface RowEvent {
  readonly documentData: Row
  /** Missing for an insert, null for an insert over a tombstone. */
  readonly previousDocumentData?: Row | null
}

/**
 * The state before the first unreported change, as far as rows tell it, which is valid for documents without a record.
 * Null when only storage knows it.
 */
type Befores = Map<string, RegisterState | null>

/** Why a change could not be reported. */
interface Unreported {
  readonly cause: unknown
  /** Its document is set aside, where everybody can see it. */
  readonly isSetAside: boolean
}

/** As many are read in one turn: after thousands of writes, or where thousands are tried again, others get theirs in between. */
const AT_ONCE = 2_000

/** The pause doubles with each failed try. */
const RETRY = { firstMs: 5_000, longestMs: 80_000 }

/** Reports every write that is not this package's: from the application, other tabs or other replications. */
export function watchLocalChanges(deps: LocalChangesDeps): LocalChanges {
  const { collection, shape, store, materialiser, modifiers, conflicts, queue, clock, changed, failed } = deps
  const tokenSuffix = `-${collection.database.token}`
  const beforeByKey: Befores = new Map()
  /** Changes that could not be reported. They are tried again apart from others, which would wait with them. */
  const owed: Befores = new Map()
  let scheduled = false
  let stopped = false
  let retryMs = RETRY.firstMs
  let cancelRetry: (() => void) | null = null

  /** The state that the row tells by itself; null instead of an error if it cannot be shared. */
  const stateBy = (read: (row: Row) => RegisterState | null, row: Row): RegisterState | null => {
    try {
      return read(row)
    } catch (error) {
      if (error instanceof RegisterError) return null
      throw error
    }
  }

  const stateBefore = (previous: Row | null | undefined): RegisterState | null => {
    if (previous === undefined) return EMPTY_REGISTER
    return previous === null ? null : stateBy(store.stateWithoutRecord, previous)
  }

  const reportNow = (events: readonly RowEvent[]): boolean => {
    const changes: EntryChange[] = []
    for (const { documentData: row, previousDocumentData: previous } of events) {
      // Another tab's event may arrive after a join that builds on its write: then only storage tells the order.
      if (row._deleted || !row._rev.endsWith(tokenSuffix)) return false
      const after = stateBy(store.ownState, row)
      const before = previous == null ? EMPTY_REGISTER : stateBy(store.ownState, previous)
      if (after === null || before === null) return false
      changes.push(changeOf(shape.keyOf(row), before, after))
    }
    changed(changes)
    return true
  }

  /**
   * Changes that cannot be reported stay noted, under the state before the first. Rejects with the first cause that nothing
   * else tells of.
   */
  const reportPending = async (): Promise<void> => {
    const befores: Befores = new Map([...beforeByKey].slice(0, AT_ONCE))
    for (const key of befores.keys()) beforeByKey.delete(key)
    if (befores.size === 0) return
    const troubles = await reportKeys(befores).catch(
      (cause: unknown): ReadonlyMap<string, Unreported> =>
        new Map([...befores.keys()].map((key) => [key, { cause, isSetAside: false }])),
    )
    if (beforeByKey.size > 0) {
      schedule()
      // The next turn begins by itself, and a storage in memory lets nothing else of the process run.
      await new Promise<void>((resolve) => void clock.after(0, resolve))
    }
    if (troubles.size === 0) {
      if (owed.size === 0) retryMs = RETRY.firstMs
      return
    }
    for (const key of troubles.keys()) owed.set(key, befores.get(key) ?? null)
    retryLater()
    const untold = [...troubles.values()].find(({ isSetAside }) => !isSetAside)
    if (untold !== undefined) throw untold.cause
  }

  const takeOwed = (): void => {
    for (const [key, before] of owed) beforeByKey.set(key, before)
    owed.clear()
  }

  const note = (key: string, before: RegisterState | null): void => {
    if (!beforeByKey.has(key)) beforeByKey.set(key, owed.has(key) ? (owed.get(key) ?? null) : before)
    owed.delete(key)
  }

  const retryLater = (): void => {
    if (!stopped) cancelRetry ??= clock.after(retryMs, retry)
  }

  const retry = (): void => {
    cancelRetry = null
    retryMs = Math.min(2 * retryMs, RETRY.longestMs)
    takeOwed()
    schedule()
  }

  const reportKeys = async (befores: Befores): Promise<ReadonlyMap<string, Unreported>> => {
    const troubles = new Map<string, Unreported>()
    const states = new Map<string, RegisterState>()
    const records = new Map<string, SidecarRecord>()
    const recorded = new Set<string>()
    const conflicted: Held[] = []
    const resolved: Held[] = []
    for (const held of await store.load([...befores.keys()])) {
      if (held.trouble?.of === "moment") {
        troubles.set(held.key, { cause: held.trouble.cause, isSetAside: true })
        continue
      }
      states.set(held.key, held.state)
      if (held.record !== null) recorded.add(held.key)
      if (held.trouble !== undefined) continue
      if (held.state.siblings.length > 1) conflicted.push(held)
      else if (held.record !== null) resolved.push(held)
      const record = lastingRecord(held)
      if (record !== null) records.set(held.key, record)
    }
    // A tombstone counts as durable only once it outlives a cleanup.
    for (const [key, cause] of await store.putRecords(records))
      troubles.set(key, { cause, isSetAside: false })
    // The author had not seen everything held here: the row must show what the writes merge to.
    const shown = await materialiser.materialise(conflicted.map((held) => ({ held, next: held.state })))
    for (const [key, outcome] of shown) {
      if (outcome.type !== "done") continue
      states.set(key, outcome.state)
      const conflict = resolvedConflict(shape, key, outcome.state)
      if (conflict !== null) conflicts.add(conflict)
    }
    const changes: EntryChange[] = []
    for (const [key, state] of states)
      if (!troubles.has(key))
        changes.push(changeOf(key, recorded.has(key) ? null : (befores.get(key) ?? null), state))
    changed(changes)
    for (const held of resolved) await materialiser.tidy(held)
    return troubles
  }

  const schedule = (): void => {
    if (scheduled || stopped) return
    scheduled = true
    queue
      .run(() => {
        scheduled = false
        return reportPending()
      })
      .catch(failed)
  }

  const tell = (rows: readonly Row[]): void => {
    if (!deps.traffic.observed) return
    const documents = rows.map((row) => shape.documentOf(shape.keyOf(row), shape.valueOf(row)))
    deps.traffic.next({ direction: "sent", peer: null, documents })
  }

  const unheard = watchUnheardRows({
    ...deps,
    found(rows) {
      tell(rows)
      for (const row of rows) {
        note(shape.keyOf(row), null)
      }
      schedule()
    },
  })

  const subscription = collection.storageInstance.changeStream().subscribe((bulk) => {
    if (bulk.context === JOIN_CONTEXT) return
    const events = unheard.unknownOf(bulk.events)
    if (events.length === 0) return
    tell(events.map((event) => event.documentData))
    if (queue.idle() && beforeByKey.size + owed.size === 0 && reportNow(events)) return
    for (const { documentData: row, previousDocumentData: previous } of events)
      note(shape.keyOf(row), stateBefore(previous))
    schedule()
  })
  return {
    unheard,
    tryAgain(keys) {
      for (const key of keys) owed.set(key, null)
      if (keys.length > 0) retryLater()
    },
    tryNow(key) {
      if (stopped) return
      note(key, null)
      schedule()
    },
    async flush() {
      await unheard.look()
      if (beforeByKey.size + owed.size === 0 && queue.idle()) return
      let left = 0
      await queue.run(() => {
        // Earlier work in the queue may have added to `owed`.
        takeOwed()
        modifiers.endPauses()
        left = beforeByKey.size
        return reportPending()
      })
      while ((left -= AT_ONCE) > 0) await queue.run(reportPending)
    },
    async stop() {
      stopped = true
      subscription.unsubscribe()
      cancelRetry?.()
      await unheard.stop()
    },
  }
}

/** What a room is told of a change of state. */
export function changeOf(key: string, before: RegisterState | null, after: RegisterState): EntryChange {
  return {
    key,
    before: before === null || before.context.size === 0 ? null : stateHash(before),
    stateHash: after.context.size === 0 ? null : stateHash(after),
    ...(before === null || after.context.size === 0 ? {} : { delta: encodeDelta(pushDelta(before, after)) }),
  }
}

/** A record for a deletion, which the row will not keep; null when none has to be written. */
function lastingRecord({ row, record, state }: Held): SidecarRecord | null {
  if (shownValue(state)?.deleted !== true) return null
  if (record !== null && record.state.context === state.context) return null
  const isOfRow = row !== undefined && record !== null && accountsFor(record, row)
  return { state, revision: isOfRow ? revisionOf(row) : null, hidden: false }
}
