import {
  EMPTY_REGISTER,
  hashValue,
  joinContexts,
  joinRegister,
  needsFold,
  RegisterError,
  type RegisterState,
  type RegisterValue,
  type ReplicaReport,
  wholeDelta,
  writeRegister,
} from "@dunlin/core"
import type { RxCollection } from "rxdb"
import type { Row } from "./document-shape.ts"
import { isKept, keptDeletion, tombstoneOf } from "./kept-deletion.ts"
import type { MergePolicy } from "./merge-policy.ts"
import {
  birth,
  createRowClaims,
  isAbove,
  type RowClaim,
  type RowClaimsDeps,
  stampedWrite,
} from "./row-claim.ts"
import { noteContextAhead } from "./row-knowledge.ts"
import type { SetAside } from "./set-aside.ts"
import type { Sidecar } from "./sidecar.ts"
import {
  accountsFor,
  decodeRecord,
  encodeRecord,
  holdsUnmigrated,
  recordId,
  revisionOf,
  type SidecarRecord,
} from "./sidecar-record.ts"
import { recognise, stampedValue } from "./stamp.ts"
import type { Stamper } from "./stamper.ts"
import { NoAnswerError } from "./within-time.ts"

/** A document as row and sidecar tell it together. */
export interface Held {
  readonly key: string
  readonly row: Row | undefined
  readonly record: SidecarRecord | null
  /** Empty when there is no entry to share. Its view is folded. */
  readonly state: RegisterState
  readonly trouble?: Trouble
}

/** Why row and record could not be brought together. The state is then that of the record alone. */
export interface Trouble {
  readonly reason: string
  readonly cause: unknown
  /** "document": as long as the document stays the same. "moment": a storage or modifier may soon work again. */
  readonly of: "document" | "moment"
  /** The row holds an edit that the state lacks. */
  readonly holdsEdit: boolean
}

/** Whether showing another state would destroy an edit that only the row has. */
export function holdsUnsharedEdit({ trouble }: Held): boolean {
  return trouble?.holdsEdit === true
}

export interface RegisterStoreDeps extends RowClaimsDeps {
  readonly collection: RxCollection
  readonly sidecar: Sidecar
  readonly stamper: Stamper
  readonly policy: MergePolicy
  readonly report: (report: ReplicaReport) => void
  readonly setAside: Pick<SetAside, "note">
  /** Whether the sidecar may hold records of documents. */
  holdsRecords: boolean
  /** What to store, once, with the first record, so that the next start knows that there are records. */
  readonly firstRecord: () => readonly [id: string, data: string]
  /** Whether what peers send of a document depends on data beside its row. */
  readonly holdsAttachments: boolean
}

/** Reads register states, giving a place in the register to writes that do not have one yet. */
export interface RegisterStore {
  load(keys: readonly string[]): Promise<readonly Held[]>
  /** Whether so many documents of one batch may be taken for absent without reading their rows (decision 0408). */
  isFirstSync(count: number): boolean
  /** The same for rows at hand; their sidecar records are read. */
  loadRows(rows: readonly Row[]): Promise<readonly Held[]>
  /** The state of a row that needs neither sidecar nor adoption, else null. Never waits. */
  ownState(row: Row): RegisterState | null
  /** The same for a row that is known to have no record. */
  stateWithoutRecord(row: Row): RegisterState | null
  /**
   * Resolves with the errors by key; rejects when nothing at all could be stored. `beside` is stored together with the
   * records or, if that fails, before any of them.
   */
  putRecords(
    records: ReadonlyMap<string, SidecarRecord | null>,
    beside?: SidecarNote,
  ): Promise<ReadonlyMap<string, unknown>>
  fold(key: string, state: RegisterState): Promise<RegisterState>
}

/**
 * So many documents of one batch, none of which is here, are a first sync. In a browser with IndexedDB, reading rows for the
 * next batch, too, would be a quarter of what the storage costs (decision 0408).
 */
const FIRST_SYNC_BATCH = 32

const NO_RECORDS: ReadonlyMap<string, SidecarRecord> = new Map()

/** An entry of the sidecar that is no document's record; null removes it. */
export type SidecarNote = readonly [id: string, data: string | null]

export function createRegisterStore(deps: RegisterStoreDeps): RegisterStore {
  const { collection, shape, rows, sidecar, stamper, policy, modifiers, report } = deps
  const { version } = collection.schema
  const claimOf = createRowClaims(deps)

  const migrate = async (value: RegisterValue, from: number): Promise<RegisterValue> => {
    let document: unknown = { ...value.payload }
    for (let next = from + 1; next <= version && document !== null; next++)
      document = await collection.migrationStrategies[next]?.(document, collection)
    if (document === null || document === undefined) return { deleted: true, payload: {} }
    return shape.valueOf(document as Record<string, unknown>)
  }

  const recordsOf = async (keys: readonly string[]): Promise<ReadonlyMap<string, SidecarRecord>> => {
    const found = new Map<string, SidecarRecord>()
    if (!deps.holdsRecords) return found
    const texts = await sidecar.get(keys.map(recordId))
    for (const key of keys) {
      const text = texts.get(recordId(key))
      if (text === undefined) continue
      try {
        found.set(key, await decodeRecord(text, version, migrate))
      } catch (cause) {
        // The row still has what it shows; peers have the rest.
        report({ type: "warning", reason: `what the sidecar holds of "${key}" cannot be read`, cause })
      }
    }
    return found
  }

  /** Gives the write a dot and a shared form, and notes in the sidecar which revision that accounts for. */
  const adopt = async (
    key: string,
    row: Row,
    record: SidecarRecord | null,
    { seen, stamp }: Extract<RowClaim, { type: "adopt" }>,
  ): Promise<SidecarRecord> => {
    const known = record?.state ?? EMPTY_REGISTER
    const local = shape.valueOf(row)
    const old = stamp === null && seen.size === 0 && row._meta.lwt <= deps.bornBefore
    const value = stamp?.fields === undefined ? local : { ...local, fields: stamp.fields }
    const shared = await modifiers.toShared(key, value)
    if (shared === null) return { state: known, revision: revisionOf(row), hidden: true }
    const hashed = hashValue(shared)
    const own = stamp?.dot != null && isAbove(stamp.dot, seen) ? stamp.dot : null
    const write = old
      ? birth(key, hashed)
      : writeRegister(seen, own ?? stamper.minter.mint(joinContexts(seen, known.context)), hashed)
    const joined = joinStates(known, write)
    assertMigrated(joined, record)
    return { state: await fold(key, joined), revision: revisionOf(row), hidden: false }
  }

  const fold = async (key: string, state: RegisterState): Promise<RegisterState> => {
    if (!needsFold(state)) return state
    const folded = await policy.fold(key, state)
    for (const { reason, cause } of folded.failures) report({ type: "handler-failed", key, reason, cause })
    return folded.state
  }

  const putAll = async (
    records: ReadonlyMap<string, SidecarRecord | null>,
    beside: SidecarNote | undefined,
  ): Promise<void> => {
    const texts = new Map<string, string | null>()
    if (beside !== undefined) texts.set(...beside)
    for (const [key, record] of records)
      texts.set(recordId(key), record === null ? null : encodeRecord(record, version))
    if (records.size > 0 && !deps.holdsRecords) {
      texts.set(...deps.firstRecord())
      deps.holdsRecords = true
    }
    await sidecar.put(texts)
  }

  const putRecords = async (
    records: ReadonlyMap<string, SidecarRecord | null>,
    beside?: SidecarNote,
  ): Promise<ReadonlyMap<string, unknown>> => {
    const failures = new Map<string, unknown>()
    if (records.size === 0 && beside === undefined) return failures
    try {
      await putAll(records, beside)
    } catch (error) {
      if (records.size <= 1) throw error
      if (beside !== undefined) await putAll(new Map(), beside)
      // One record that the storage refuses must not hold up the others.
      for (const [key, record] of records)
        await putAll(new Map([[key, record]]), undefined).catch((cause: unknown) => failures.set(key, cause))
      if (failures.size === records.size) throw error
    }
    return failures
  }

  const hold = async (
    keys: readonly string[],
    rowsByKey: ReadonlyMap<string, Row>,
    records: ReadonlyMap<string, SidecarRecord>,
  ): Promise<readonly Held[]> => {
    const adopted = new Map<string, SidecarRecord>()
    /** Records that keep a deletion which the state lacks. */
    const withDeletions = new Map<string, SidecarRecord>()
    const heldByKey = new Map<string, Held>()
    const take = (key: string, held: Held): void => {
      const { row, record } = held
      const known = records.get(key) ?? null
      heldByKey.set(key, held)
      if (record !== null && record !== known) adopted.set(key, record)
      else if (known !== null && row !== undefined) noteContextAhead(stamper, key, row, held.state)
    }
    // A document that cannot be shared, or on which the application's code throws, does not enter the register; the
    // others go on.
    const setAside = (key: string, cause: unknown): void => {
      const reason = cause instanceof RegisterError ? cause.message : `it cannot be shared: ${String(cause)}`
      const of = cause instanceof NoAnswerError ? "moment" : "document"
      const row = rowsByKey.get(key)
      const known = records.get(key) ?? null
      const record = row === undefined ? known : withDeletion(row, known)
      if (record !== null && record !== known) withDeletions.set(key, record)
      heldByKey.set(key, aside(key, row, record, { reason, cause, of }))
    }
    /** Slow application code is waited for once, not once per document. */
    const waiting: Promise<void>[] = []
    for (const key of keys) {
      const row = rowsByKey.get(key)
      const record = records.get(key) ?? null
      if (row === undefined && record === null) {
        // The usual case in a first sync.
        heldByKey.set(key, { key, row, record, state: EMPTY_REGISTER })
        continue
      }
      try {
        // A record of this very revision has the lengths. Asked first: a wait for each row would slow down every start.
        const isKnown = row === undefined || (record !== null && accountsFor(record, row))
        if (!isKnown && !shape.attachments.isMeasured(row)) await rows.measure(row)
        const made = holdOne(key, row, record)
        if (!(made instanceof Promise)) take(key, made)
        else
          waiting.push(
            made.then(
              (held) => take(key, held),
              (cause: unknown) => setAside(key, cause),
            ),
          )
      } catch (cause) {
        setAside(key, cause)
      }
    }
    await Promise.all(waiting)
    // A dot that could not be stored is minted anew later, so nobody may learn of it.
    const unstored = new Map([...adopted, ...withDeletions])
    const failures = await putRecords(unstored).catch(
      (cause: unknown) => new Map([...unstored.keys()].map((key) => [key, cause])),
    )
    for (const [key, cause] of failures) {
      adopted.delete(key)
      const reason = "the storage refuses what must be noted beside it"
      const row = rowsByKey.get(key)
      heldByKey.set(key, aside(key, row, records.get(key) ?? null, { reason, cause, of: "moment" }))
    }
    for (const [key, record] of adopted) {
      const row = rowsByKey.get(key)
      if (row !== undefined) noteContextAhead(stamper, key, row, record.state)
    }
    const held = keys.map((key) => heldByKey.get(key) as Held)
    await deps.setAside.note(held)
    return held
  }

  const holdOne = (key: string, row: Row | undefined, record: SidecarRecord | null): Held | Promise<Held> => {
    const latest = row ?? purgedRow(key, record)
    const claim: RowClaim = latest === undefined ? { type: "nothing" } : claimOf(key, latest, record)
    if (latest !== undefined && claim.type === "adopt")
      return adopt(key, latest, record, claim).then((made) => ({ key, row, record: made, state: made.state }))
    const known = record?.state ?? EMPTY_REGISTER
    const state = claim.type === "write" ? joinStates(known, claim.write) : known
    assertMigrated(state, record)
    if (!needsFold(state)) return { key, row, record, state }
    return fold(key, state).then((folded) => ({ key, row, record, state: folded }))
  }

  const aside = (
    key: string,
    row: Row | undefined,
    record: SidecarRecord | null,
    why: Omit<Trouble, "holdsEdit">,
  ): Held => {
    report({ type: "quarantined", key, reason: why.reason, cause: why.cause })
    const latest = row ?? purgedRow(key, record)
    const trouble: Trouble = { ...why, holdsEdit: latest !== undefined && saysMore(key, latest, record) }
    return { key, row, record, state: record?.state ?? EMPTY_REGISTER, trouble }
  }

  /** The row of a deletion that could not be shared, which a cleanup has purged. */
  const purgedRow = (key: string, record: SidecarRecord | null): Row | undefined =>
    record?.deletion === undefined ? undefined : tombstoneOf(shape, key, record.deletion)

  /** The record with the deletion that this row tells of and the state lacks; for any other row the record as it is. */
  const withDeletion = (row: Row, record: SidecarRecord | null): SidecarRecord | null => {
    if (!row._deleted || (record?.deletion !== undefined && isKept(row, record.deletion))) return record
    if (record !== null && accountsFor(record, row)) return record
    const { state, revision, hidden } = record ?? { state: EMPTY_REGISTER, revision: null, hidden: false }
    return { ...record, state, revision, hidden, deletion: keptDeletion(row) }
  }

  const saysMore = (key: string, row: Row, record: SidecarRecord | null): boolean => {
    try {
      return claimOf(key, row, record).type !== "nothing"
    } catch {
      // What cannot be hashed was never shared.
      return true
    }
  }

  const stateWithoutRecord = (row: Row): RegisterState | null => {
    if (stamper.hasPushModifier || !shape.attachments.isMeasured(row)) return null
    const written = stamper.justWritten(row)
    if (written !== null) return written
    const recognition = recognise(row, () => rows.contentOf(row))
    if (recognition.type !== "stamped" || recognition.stamp.dot === null) return null
    return stampedWrite(recognition.stamp, stampedValue(shape.valueOf(row), recognition.stamp))
  }

  /** Whether the last large batch met no row, and nobody has met one since. */
  let metNone = false
  const find = async (keys: readonly string[]): Promise<ReadonlyMap<string, Row>> => {
    const found = await rows.find(keys)
    if (found.size > 0) metNone = false
    else if (keys.length >= FIRST_SYNC_BATCH) metNone = true
    return found
  }

  const load = async (keys: readonly string[]): Promise<readonly Held[]> => {
    if (!deps.holdsRecords) return hold(keys, await find(keys), NO_RECORDS)
    const [rowsByKey, records] = await Promise.all([find(keys), recordsOf(keys)])
    return hold(keys, rowsByKey, records)
  }

  return {
    load,
    isFirstSync: (count) =>
      metNone &&
      count >= FIRST_SYNC_BATCH &&
      !deps.holdsRecords &&
      !deps.holdsAttachments &&
      modifiers.keepsEverything,
    async loadRows(found) {
      const rowsByKey = new Map(found.map((row) => [shape.keyOf(row), row]))
      const keys = [...rowsByKey.keys()]
      return hold(keys, rowsByKey, await recordsOf(keys))
    },
    ownState: (row) => (deps.holdsRecords ? null : stateWithoutRecord(row)),
    stateWithoutRecord,
    putRecords,
    fold,
  }
}

/** Why what a peer sent cannot be joined with what is held. */
export const JOIN_REFUSALS = {
  contradicts: "it contradicts what is held: each says that the other was overwritten",
  "context-full": "too many sessions wrote it: its context is full",
} as const

export function joinStates(a: RegisterState, b: RegisterState): RegisterState {
  if (a.context.size === 0) return b
  const joined = joinRegister(a, wholeDelta(b))
  if (joined.type === "contradicts")
    throw new Error("its row and what is noted beside it each say that the other was overwritten")
  if (joined.type !== "joined")
    throw new RegisterError("context-full", "Too many sessions wrote this document.")
  return joined.state
}

/** Payloads of an earlier schema version are neither shown nor passed on. */
function assertMigrated(state: RegisterState, record: SidecarRecord | null): void {
  if (!holdsUnmigrated(state, record)) return
  throw new Error("a migration strategy failed for what the sidecar holds of it", {
    cause: record?.unmigrated?.cause,
  })
}
