import {
  BIRTH_HLC,
  birthIncarnation,
  type Context,
  createDotMinter,
  type Dot,
  type DotMinter,
  type FieldClocks,
  type HashedValue,
  hashValue,
  incarnationFromBytes,
  joinContexts,
  type MergeSide,
  RegisterError,
  ReplicaError,
  type RegisterState,
  type RegisterValue,
  systemClock,
  systemRandom,
  writeRegister,
} from "@dunlin/core"
import type { BulkWriteRow, RxCollection } from "rxdb"
import { getHeightOfRevision } from "rxdb/plugins/core"
import { type DocumentData, documentShape, type DocumentShape, type Row } from "./document-shape.ts"
import { clocksAfter } from "./field-clocks.ts"
import { type HookState, processPlugin } from "./process-plugin.ts"
import { INSERTED, readStamp, type Stamp, STAMP_FIELD, storedStamp } from "./stamp.ts"

/** Stamps the writes of one collection in this tab, inside the writes themselves. */
export interface Stamper {
  readonly minter: DotMinter
  readonly shape: DocumentShape
  readonly hasPushModifier: boolean
  configure(options: StamperOptions): void
  readonly isClaimed: boolean
  /** Claims the collection for one room; throws `ReplicaError` "replica-in-use". Returns a function to release it. */
  claim(name: string): () => void
  /** Called by the storage hook: puts a stamp on each row that is about to be written. */
  stampRows(rows: readonly BulkWriteRow<DocumentData>[]): void
  /** The state of a row from this tab's last write, kept since its stamp was made; else null. */
  justWritten(row: Row): RegisterState | null
  /**
   * What a later write over a row has seen beyond the row's own stamp: the sidecar may hold an equal document of
   * another author, for which the row was not rewritten. With it, the new row needs no record any more. Stamps of other
   * tabs and of the next start do without it: the record says the same.
   */
  readonly contextsAhead: Map<string, Context>
}

/** A write that needs a stamp. */
interface StampedWrite {
  readonly seen: Context
  readonly previous: MergeSide | null
  readonly value: RegisterValue
  readonly revision: string
  readonly began: Dot | "here" | null
}

type Stamped =
  | { readonly type: "stamped"; readonly made: Stamp; readonly state: RegisterState }
  /** What cannot be shared may still be stored; the replica says so when it meets the row without a stamp of its own. */
  | { readonly type: "unshareable"; readonly fields: FieldClocks | undefined }

/** What stamps of a collection carry. */
export interface StamperOptions {
  readonly mergesFields: boolean
  readonly hasPushModifier: boolean
}

/** Of a larger write, only the first rows are kept at hand: all would hold the memory of all their texts. */
const MAX_ROWS_AT_HAND = 256

/** Contexts of documents deleted in this tab, for when they come back: RxDB drops `_meta` over a tombstone. */
const MAX_REMEMBERED_DELETES = 4096

const REGISTRY = Symbol.for("dunlin.rxdb.stampers")

/** The one stamper of a collection, made at the first call. */
export function stamperOf(collection: RxCollection, options: StamperOptions): Stamper {
  const stampers = stampersOfProcess()
  const instance = collection.storageInstance.originalStorageInstance
  const known = stampers.get(instance)
  if (known !== undefined) {
    known.configure(options)
    return known
  }
  const stamper = createStamper(documentShape(collection), collection.name, options)
  stampers.set(instance, stamper)
  return stamper
}

/** Whether a room of this tab has the collection, or stands by for it. */
export function isClaimed(collection: RxCollection): boolean {
  const instance = collection.storageInstance.originalStorageInstance
  return stampersOfProcess().get(instance)?.isClaimed === true
}

function createStamper(shape: DocumentShape, collection: string, initial: StamperOptions): Stamper {
  let { mergesFields, hasPushModifier } = initial
  let holder: string | null = null
  const clock = systemClock()
  const random = systemRandom()
  const minter = createDotMinter({
    now: () => clock.now(),
    freshIncarnation: () => incarnationFromBytes(random.bytes(8)),
  })
  const contextsAhead = new Map<string, Context>()
  const deletedContexts = new Map<string, Context>()
  /**
   * By stored stamp: the event of a write carries the same object, unless the storage made copies. A later revision
   * that bypassed the hook may have kept it, so the revision must match too.
   */
  const writtenByStamp = new Map<unknown, { readonly revision: string; readonly state: RegisterState }>()

  /** Throws `RegisterError` "context-full". */
  const stamp = ({ seen, previous, value, revision, began }: StampedWrite): Stamped => {
    const dot = minter.mint(seen)
    const fields: FieldClocks | undefined = mergesFields ? clocksAfter(previous, value, dot.hlc) : undefined
    const hashed = hashOf(fields === undefined ? value : { ...value, fields })
    if (hashed === null) return { type: "unshareable", fields }
    const state = writeRegister(seen, dot, hashed)
    const made: Stamp = {
      context: state.context,
      dot,
      height: getHeightOfRevision(revision),
      hash: hashed.hash,
      ...(hashed.fields === undefined ? {} : { fields: hashed.fields }),
      ...(hasPushModifier ? { raw: true } : {}),
      ...(began === null ? {} : { began: began === "here" ? dot : began }),
    }
    return { type: "stamped", made, state }
  }

  const seenBy = (key: string, previous: Row | undefined, own: Stamp | null): Context => {
    const ahead = contextsAhead.get(key)
    if (own === null) return ahead ?? deletedContexts.get(key) ?? birthContext(key, previous, shape)
    return ahead === undefined ? own.context : joinContexts(own.context, ahead)
  }

  const stampRow = (row: BulkWriteRow<DocumentData>): void => {
    const document = row.document as unknown as Row
    const { attachments } = shape
    const { previous } = row
    // Lengths that no stamp tells must be read, and a hook cannot wait: the replica gives this write its place later.
    // The lengths of the previous row count too: its hash is part of what the author has seen.
    if (previous !== undefined) {
      if (!attachments.isMeasured(previous)) return
      attachments.inheritLengths(document, previous)
    }
    if (!attachments.isMeasured(document)) return
    const key = shape.keyOf(document)
    const before = previous === undefined ? null : readStamp(previous)
    const seen = seenBy(key, previous, before)
    const stamped = stamp({
      seen,
      previous: mergesFields && previous !== undefined ? previousSide(previous, shape) : null,
      value: shape.valueOf(document),
      revision: document._rev,
      began: previous === undefined ? null : beginning(previous, before, seen),
    })
    const lengths = attachments.stampedLengths(document)
    if (stamped.type === "unshareable") {
      const { fields } = stamped
      if (fields !== undefined)
        keepClocks(document, fields, () =>
          storedStamp({ context: seen, dot: null, hash: NO_HASH, fields }, NO_HEIGHT, lengths),
        )
      return
    }
    const { made, state } = stamped
    // All inserts of a batch share one `_meta` object: it is replaced, never changed.
    const stored = storedStamp(made, made.height, lengths)
    Object.assign(document, { _meta: { ...document._meta, [STAMP_FIELD]: stored } })
    if (writtenByStamp.size < MAX_ROWS_AT_HAND) writtenByStamp.set(stored, { revision: document._rev, state })
    if (document._deleted) remember(deletedContexts, key, made.context)
    else if (deletedContexts.size > 0) deletedContexts.delete(key)
  }

  return {
    minter,
    shape,
    get hasPushModifier() {
      return hasPushModifier
    },
    configure(options) {
      ;({ mergesFields, hasPushModifier } = options)
    },
    get isClaimed() {
      return holder !== null
    },
    claim(name) {
      if (holder !== null)
        throw new ReplicaError(
          "replica-in-use",
          `The collection "${collection}" is already in a room, as the replica "${holder}". Close that room or its handle first.`,
        )
      holder = name
      return () => {
        holder = null
      }
    },
    contextsAhead,
    justWritten(row) {
      const written = writtenByStamp.get((row._meta as Readonly<Record<string, unknown>>)[STAMP_FIELD])
      return written?.revision === row._rev ? written.state : null
    },
    stampRows(rows) {
      writtenByStamp.clear()
      for (const row of rows) stampRow(row)
    },
  }
}

/** A stamp that fits no row: revisions are counted from one, and no content has this hash. */
const NO_HEIGHT = 0
const NO_HASH = new Uint8Array(32)

/**
 * The write after this one is compared with this row, field by field: an earlier stamp stays, with newer clocks. A row
 * without one, new or older than Dunlin, gets one that says no more than what was seen, and when fields were written.
 */
function keepClocks(document: Row, fields: FieldClocks, begin: () => object): void {
  const { [STAMP_FIELD]: earlier, ...others } = document._meta as Readonly<Record<string, unknown>>
  const kept = typeof earlier === "object" && earlier !== null ? { ...earlier, fields } : begin()
  Object.assign(document, { _meta: { ...others, [STAMP_FIELD]: kept } })
}

/** Null for what cannot be shared. */
function hashOf(value: RegisterValue): HashedValue | null {
  try {
    return hashValue(value)
  } catch (error) {
    if (error instanceof RegisterError && error.code === "unshareable") return null
    throw error
  }
}

/** The write that put this document over a tombstone, as far as the previous row and its stamp tell; null if none did. */
function beginning({ _rev }: Row, stamp: Stamp | null, seen: Context): StampedWrite["began"] {
  // An insert that could not be shared may have been over a tombstone, and this write is the first that has a place.
  if (stamp === null || stamp.dot === null) return seen.size === 0 ? "here" : null
  if (stamp.began !== undefined) return stamp.began
  return stamp.height === INSERTED && getHeightOfRevision(_rev) !== INSERTED ? stamp.dot : null
}

/** What the author of a write over an unstamped row has seen: the row as it was born. */
function birthContext(key: string, previous: Row | undefined, shape: DocumentShape): Context {
  if (previous === undefined || previous._deleted) return new Map()
  try {
    return new Map([[birthIncarnation(key, hashValue(shape.valueOf(previous)).hash), BIRTH_HLC]])
  } catch (error) {
    if (error instanceof RegisterError) return new Map()
    throw error
  }
}

/** The row before a write as one side of a field-wise comparison. */
function previousSide(row: Row, shape: DocumentShape): MergeSide {
  const stamp = readStamp(row)
  const value = shape.valueOf(row)
  const hlc = stamp?.dot?.hlc ?? BIRTH_HLC
  return stamp?.fields === undefined ? { ...value, hlc } : { ...value, fields: stamp.fields, hlc }
}

function remember(contexts: Map<string, Context>, key: string, context: Context): void {
  contexts.delete(key)
  contexts.set(key, context)
  if (contexts.size > MAX_REMEMBERED_DELETES) {
    const oldest = contexts.keys().next().value
    if (oldest !== undefined) contexts.delete(oldest)
  }
}

function stampersOfProcess(): HookState<Stamper> {
  return processPlugin(REGISTRY, (stampers) => ({
    name: "dunlin-stamps",
    rxdb: true,
    hooks: {
      preStorageWrite: {
        after: ({ storageInstance, rows }) => stampers.get(storageInstance)?.stampRows(rows),
      },
    },
  }))
}
