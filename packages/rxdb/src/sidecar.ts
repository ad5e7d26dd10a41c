import type { RxCollection, RxDocumentData, RxError, RxJsonSchema, RxStorageInstance } from "rxdb"
import {
  createRevision,
  fillWithDefaultSettings,
  getChangedDocumentsSince,
  now,
  overwritable,
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

/** Tells that nothing is left in the other form: "moved" while that is still to be removed. */
const FORM_RECORD = "form"
const MOVED_AT_ONCE = 500

export async function openSidecar(collection: RxCollection): Promise<Sidecar> {
  const isEncrypted = encrypts(collection)
  const sidecar = await openForm(collection, isEncrypted)
  const { version } = collection.schema
  // A later version of the schema may encrypt what an earlier one did not, and the other way round.
  if (version > 0) await takeOver(sidecar, () => openOtherForm(collection, !isEncrypted))
  return sidecar
}

/** What is kept in the form of an earlier schema moves, and leaves nothing behind. A start that ends in between goes on with it. */
async function takeOver(sidecar: Sidecar, openOther: () => Promise<Sidecar | null>): Promise<void> {
  const state = (await sidecar.get([FORM_RECORD])).get(FORM_RECORD)
  if (state === "alone") return
  const other = await openOther()
  if (other !== null) {
    if (state === undefined) {
      let page = await other.changedSince(null, MOVED_AT_ONCE)
      while (page.ids.length > 0) {
        const records = new Map(await other.get(page.ids))
        records.delete(FORM_RECORD)
        await sidecar.put(records)
        page = await other.changedSince(page.checkpoint, MOVED_AT_ONCE)
      }
      await sidecar.put(new Map([[FORM_RECORD, "moved"]]))
    }
    await other.remove()
  }
  await sidecar.put(new Map([[FORM_RECORD, "alone"]]))
}

/** Null where there can be none: the storage, or a database without a password, encrypts nothing. */
async function openOtherForm(collection: RxCollection, isEncrypted: boolean): Promise<Sidecar | null> {
  if (isEncrypted && collection.database.password === undefined) return null
  try {
    return await openForm(collection, isEncrypted)
  } catch (error) {
    if (isEncrypted && (error as Partial<RxError>).code === CANNOT_ENCRYPT) return null
    throw error
  }
}

/** RxDB's code for a schema with encryption on a storage without. */
const CANNOT_ENCRYPT = "UT6"

async function openForm(collection: RxCollection, isEncrypted: boolean): Promise<Sidecar> {
  const { database } = collection
  const instance = (await database.storage.createStorageInstance<RecordDocument>({
    databaseName: database.name,
    // Without the schema version: siblings and tombstones outlive a migration. No collection's own name begins with a hyphen.
    collectionName: `dunlin-${isEncrypted ? "-" : ""}${collection.name}`,
    databaseInstanceToken: database.token,
    multiInstance: database.multiInstance,
    options: {},
    schema: sidecarSchema(collection, isEncrypted),
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
  return {
    async get(ids) {
      return new Map((await rowsOf(ids, false)).map((row) => [row.id, row.data]))
    },
    put,
    async changedSince(checkpoint, limit) {
      const page = await changedSince(checkpoint, limit)
      return { ids: page.rows.map((row) => row.id), checkpoint: page.checkpoint }
    },
    close: () => (closed ??= instance.close()),
    remove: () => (closed ??= instance.remove()),
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

function encrypts({ schema: { jsonSchema } }: RxCollection): boolean {
  return (jsonSchema.encrypted?.length ?? 0) > 0 || jsonSchema.attachments?.encrypted === true
}

function sidecarSchema(
  collection: RxCollection,
  isEncrypted: boolean,
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
    ...(isEncrypted ? { encrypted: ["data"] } : {}),
  }
  return fillWithDefaultSettings(schema)
}
