import type { RxCollection, RxDocumentData, RxError, RxJsonSchema, RxStorageInstance } from "rxdb"
import {
  createRevision,
  fillWithDefaultSettings,
  getChangedDocumentsSince,
  normalizeMangoQuery,
  now,
  overwritable,
  prepareQuery,
} from "rxdb/plugins/core"

/** What a collection's rows cannot hold, in a storage instance beside it: same engine, same encryption. */
export interface Sidecar {
  /** Records by id; missing ones are left out. */
  get(ids: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Null removes. Resolves when durable. */
  put(records: ReadonlyMap<string, string | null>): Promise<void>
  /** Ids of records that changed after the checkpoint. */
  changedSince(
    checkpoint: unknown,
    limit: number,
  ): Promise<{ readonly ids: readonly string[]; readonly checkpoint: unknown }>
  /** Frees the space of records that were removed longer ago than this, once there are many. */
  purge(minimumAgeMs: number): Promise<void>
  close(): Promise<void>
  remove(): Promise<void>
}

interface RecordDocument {
  id: string
  data: string
}
type RecordRow = RxDocumentData<RecordDocument>

const CONTEXT = "dunlin-sidecar"
/** Longest prefix and suffix that this package puts around a document's key. */
const ID_ROOM = 96

/** RxDB opens a store only by the schema that made it, so each form is a store of its own. */
type SidecarForm = "plain" | "encrypted"

/** No collection's own name begins with a hyphen. */
const NAME_PREFIX = { plain: "dunlin-", encrypted: "dunlin--" } as const
/** Its presence says that the other form is gone. */
const ALONE_RECORD = "alone"
/** Names the database that the sidecar belongs to. */
const DATABASE_RECORD = "database"
/** RxDB makes them of small letters. */
const STORAGE_TOKEN = /^[a-z]{10}$/
const COPIED_AT_ONCE = 500
/** To free their space, a storage reads everything of that age: fewer records are not worth it. */
const MANY_REMOVED = 500
/** Some storages free a part at a time. */
const MAX_CLEANUPS = 100
/** RxDB's code for a schema with encryption on a storage without. */
const CANNOT_ENCRYPT = "UT6"

export async function openSidecar(collection: RxCollection): Promise<Sidecar> {
  const form = formOf(collection)
  const sidecar = await openForm(collection, form)
  // A later version of the schema may encrypt what an earlier one did not, and the other way round.
  if (collection.schema.version > 0) {
    try {
      await absorb(sidecar, () => openOtherForm(collection, form))
    } catch (error) {
      await sidecar.close()
      throw error
    }
  }
  return sidecar
}

const removedWith = new WeakSet<RxCollection>()

/** Has the sidecar removed with its collection. Registers this once, however often the collection joins rooms. */
export function removeSidecarWith(collection: RxCollection): void {
  if (removedWith.has(collection)) return
  removedWith.add(collection)
  collection.onRemove.push(async () => {
    await (await openSidecar(collection)).remove()
  })
}

/** Moves here what an earlier schema left in the other form. Interrupted, it is repeated: copying twice is harmless. */
async function absorb(sidecar: Sidecar, openOther: () => Promise<Sidecar | null>): Promise<void> {
  if ((await sidecar.get([ALONE_RECORD])).size > 0) return
  const other = await openOther()
  if (other !== null) {
    try {
      await copyRecords(other, sidecar)
      await other.remove()
    } finally {
      await other.close()
    }
  }
  await sidecar.put(new Map([[ALONE_RECORD, ""]]))
}

async function copyRecords(from: Sidecar, to: Sidecar): Promise<void> {
  let page = await from.changedSince(null, COPIED_AT_ONCE)
  while (page.ids.length > 0) {
    const records = new Map(await from.get(page.ids))
    // In `from`, it says that the form copied to is gone.
    records.delete(ALONE_RECORD)
    await to.put(records)
    page = await from.changedSince(page.checkpoint, COPIED_AT_ONCE)
  }
}

/** Null where there can be none: the storage, or a database without a password, encrypts nothing. */
async function openOtherForm(collection: RxCollection, form: SidecarForm): Promise<Sidecar | null> {
  if (form === "encrypted") return openForm(collection, "plain")
  if (collection.database.password === undefined) return null
  try {
    return await openForm(collection, "encrypted")
  } catch (error) {
    if ((error as Partial<RxError>).code === CANNOT_ENCRYPT) return null
    throw error
  }
}

/**
 * RxDB removes a database without asking anyone who has none of its collections open, and does not know of sidecars. A
 * sidecar left from an earlier database describes documents that are gone, and is begun anew.
 */
async function openForm(collection: RxCollection, form: SidecarForm): Promise<Sidecar> {
  const token = await collection.database.storageToken
  const sidecar = await openInstance(collection, form)
  try {
    const madeBeside = (await sidecar.get([DATABASE_RECORD])).get(DATABASE_RECORD)
    if (madeBeside === token) return sidecar
    // What is no token is damaged: nothing else is thrown away for that.
    if (madeBeside === undefined || !STORAGE_TOKEN.test(madeBeside)) {
      await sidecar.put(new Map([[DATABASE_RECORD, token]]))
      return sidecar
    }
    await sidecar.remove()
  } catch (error) {
    await sidecar.close()
    throw error
  }
  return openForm(collection, form)
}

async function openInstance(collection: RxCollection, form: SidecarForm): Promise<Sidecar> {
  const { database } = collection
  const instance = (await database.storage.createStorageInstance<RecordDocument>({
    databaseName: database.name,
    // Without the schema version: siblings and tombstones outlive a migration.
    collectionName: NAME_PREFIX[form] + collection.name,
    databaseInstanceToken: database.token,
    multiInstance: database.multiInstance,
    options: {},
    schema: sidecarSchema(collection, form),
    password: database.password,
    devMode: overwritable.isDevMode(),
  })) as RxStorageInstance<RecordDocument, unknown, unknown>
  const guarded = <T>(work: () => Promise<T>): Promise<T> => database.lockedRun(work)

  const rowsOf = async (ids: readonly string[], withDeleted: boolean): Promise<readonly RecordRow[]> =>
    ids.length === 0 ? [] : guarded(() => instance.findDocumentsById([...ids], withDeleted))

  const put = async (records: ReadonlyMap<string, string | null>): Promise<void> => {
    let left = records
    // Only this tab writes here while it holds the room; a conflict can only come from a hand-over between tabs.
    for (let attempt = 0; left.size > 0; attempt++) {
      const known = new Map((await rowsOf([...left.keys()], true)).map((row) => [row.id, row]))
      const writes = [...left].flatMap(([id, data]) => {
        const previous = known.get(id)
        if (data === null && (previous === undefined || previous._deleted)) return []
        return [
          {
            ...(previous === undefined ? {} : { previous }),
            document: recordRow(database.token, id, data, previous),
          },
        ]
      })
      if (writes.length === 0) return
      const { error } = await guarded(() => instance.bulkWrite(writes, CONTEXT))
      const failed = error.find((one) => one.status !== 409)
      if (failed !== undefined || (error.length > 0 && attempt > 20))
        throw new Error(`the sidecar of ${collection.name} refused a record`, { cause: error[0] })
      left = new Map(error.map((one) => [one.documentId, left.get(one.documentId) ?? null]))
    }
  }

  const changedSince = async (
    checkpoint: unknown,
    limit: number,
  ): Promise<{ readonly rows: readonly RecordRow[]; readonly checkpoint: unknown }> => {
    const page = await guarded(() => getChangedDocumentsSince(instance, limit, checkpoint ?? undefined))
    return { rows: page.documents, checkpoint: page.checkpoint }
  }

  let closed: Promise<void> | null = null
  let purging: Promise<void> = Promise.resolve()

  const purge = async (minimumAgeMs: number): Promise<void> => {
    const query = normalizeMangoQuery<RecordDocument>(instance.schema, {
      selector: { _deleted: { $eq: true }, "_meta.lwt": { $lt: now() - minimumAgeMs } } as never,
      sort: [{ id: "asc" }],
      index: ["_deleted", "id"] as never,
      skip: 0,
      limit: MANY_REMOVED,
    })
    const { documents } = await guarded(() => instance.query(prepareQuery(instance.schema, query)))
    if (documents.length < MANY_REMOVED) return
    for (let time = 0; time < MAX_CLEANUPS && closed === null; time++)
      if (await guarded(() => instance.cleanup(minimumAgeMs))) return
  }

  return {
    async get(ids) {
      return new Map((await rowsOf(ids, false)).map((row) => [row.id, row.data]))
    },
    put,
    async changedSince(checkpoint, limit) {
      const page = await changedSince(checkpoint, limit)
      return { ids: page.rows.map((row) => row.id), checkpoint: page.checkpoint }
    },
    purge(minimumAgeMs) {
      const done = purge(minimumAgeMs)
      purging = done.catch(() => undefined)
      return done
    },
    close: () => (closed ??= purging.then(() => instance.close())),
    remove: () =>
      (closed ??= purging
        .then(() => instance.remove())
        .catch(async (error: unknown) => {
          await instance.close()
          throw error
        })),
  }
}

function recordRow(
  token: string,
  id: string,
  data: string | null,
  previous: RecordRow | undefined,
): RecordRow {
  return {
    id,
    data: data ?? "",
    _deleted: data === null,
    _attachments: {},
    _rev: createRevision(token, previous),
    _meta: { lwt: now() },
  }
}

function formOf({ schema: { jsonSchema } }: RxCollection): SidecarForm {
  const encrypts = (jsonSchema.encrypted?.length ?? 0) > 0 || jsonSchema.attachments?.encrypted === true
  return encrypts ? "encrypted" : "plain"
}

function sidecarSchema(
  collection: RxCollection,
  form: SidecarForm,
): RxJsonSchema<RxDocumentData<RecordDocument>> {
  const { jsonSchema, primaryPath } = collection.schema
  const properties = jsonSchema.properties as Record<string, { readonly maxLength?: number }>
  const keyLength = properties[primaryPath]?.maxLength ?? 1024
  const schema: RxJsonSchema<RecordDocument> = {
    title: "DunlinSidecar",
    version: 0,
    type: "object",
    primaryKey: "id",
    properties: { id: { type: "string", maxLength: keyLength + ID_ROOM }, data: { type: "string" } },
    required: ["id", "data"],
    additionalProperties: false,
    ...(form === "encrypted" ? { encrypted: ["data"] } : {}),
  }
  return fillWithDefaultSettings(schema)
}
