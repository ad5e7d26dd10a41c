import {
  decodeDelta,
  EMPTY_REGISTER,
  encodeDelta,
  joinRegister,
  type RegisterState,
  type RegisterValue,
  type Sibling,
  wholeDelta,
} from "@dunlin/core"
import { base64FromBytes, bytesFromBase64 } from "./byte-text.ts"
import type { Row } from "./document-shape.ts"

/** What the sidecar holds of one document, where its row cannot. */
export interface SidecarRecord {
  readonly state: RegisterState
  /** The row with this revision, as `revisionOf` gives it, is in the state already, although its own stamp does not say so. */
  readonly revision: string | null
  /** `push.modifier` keeps the row with this revision on this device. */
  readonly hidden: boolean
  /** The state lacks this deletion, because it cannot be shared yet. RxDB's cleanup purges its row without asking. */
  readonly deletion?: KeptDeletion
  /** Why its payloads could not be migrated to the present schema version and are as they were written. */
  readonly unmigrated?: { readonly cause: unknown; readonly version: number }
}

/** All that matters of the row of a deleted document. */
export interface KeptDeletion {
  readonly revision: string
  readonly meta: Row["_meta"]
}

interface StoredRecord {
  readonly version: number
  readonly state: string
  readonly revision?: string
  readonly hidden?: true
  readonly deletion?: KeptDeletion
}

const PREFIX = "d|"

export function recordId(key: string): string {
  return `${PREFIX}${key}`
}

export function keyOfRecord(id: string): string | null {
  return id.startsWith(PREFIX) ? id.slice(PREFIX.length) : null
}

/**
 * Names a row of a document. A tombstone is told from other rows: once it is purged, RxDB counts revisions from one again,
 * and a new document may get the revision that the tombstone had.
 */
export function revisionOf({ _rev, _deleted }: Pick<Row, "_rev" | "_deleted">): string {
  return _deleted ? `${_rev} deleted` : _rev
}

/** Whether what this row says is in the state of the record. */
export function accountsFor({ revision }: SidecarRecord, row: Row): boolean {
  return revision === revisionOf(row)
}

export function encodeRecord(record: SidecarRecord, present: number): string {
  const { state, revision, hidden, deletion, unmigrated } = record
  const stored: StoredRecord = {
    version: unmigrated?.version ?? present,
    state: base64FromBytes(encodeDelta(wholeDelta(state))),
    ...(revision === null ? {} : { revision }),
    ...(hidden ? { hidden: true } : {}),
    ...(deletion === undefined ? {} : { deletion }),
  }
  return JSON.stringify(stored)
}

/**
 * Reads a record and migrates payloads of an earlier schema version. Siblings keep the hashes they were written under,
 * so that peers that migrate on their own stay equal. A state whose migration fails keeps them too.
 */
export async function decodeRecord(
  text: string,
  version: number,
  migrate: (value: RegisterValue, from: number) => Promise<RegisterValue>,
): Promise<SidecarRecord> {
  const stored = JSON.parse(text) as StoredRecord
  const joined = joinRegister(EMPTY_REGISTER, decodeDelta(bytesFromBase64(stored.state)))
  const state = joined.type === "joined" ? joined.state : EMPTY_REGISTER
  const { deletion } = stored
  const record = {
    revision: stored.revision ?? null,
    hidden: stored.hidden === true,
    ...(deletion === undefined ? {} : { deletion }),
  }
  if (stored.version === version) return { ...record, state }
  try {
    return { ...record, state: await migrateState(state, (value) => migrate(value, stored.version)) }
  } catch (cause) {
    return { ...record, state, unmigrated: { cause, version: stored.version } }
  }
}

/** Whether the state holds payloads of the record that are still of an earlier schema version. */
export function holdsUnmigrated({ siblings }: RegisterState, record: SidecarRecord | null): boolean {
  if (record?.unmigrated === undefined) return false
  return siblings.some((one) => !one.deleted && record.state.siblings.includes(one))
}

async function migrateState(
  state: RegisterState,
  migrate: (value: RegisterValue) => Promise<RegisterValue>,
): Promise<RegisterState> {
  const siblings: Sibling[] = []
  for (const sibling of state.siblings) {
    const { hash, dot } = sibling
    siblings.push(sibling.deleted ? sibling : { ...(await migrate(sibling)), hash, dot })
  }
  const { view: old } = state
  const view = old === null || old.deleted ? old : { ...(await migrate(old)), hash: old.hash }
  return { context: state.context, siblings, view }
}
