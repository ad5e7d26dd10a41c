import type { RxCollection, RxDocumentData, RxJsonSchema, RxStorageInstance } from "rxdb"
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

export async function openSidecar(collection: RxCollection): Promise<Sidecar> {
  const { database } = collection
  const instance = (await database.storage.createStorageInstance<RecordDocument>({
    databaseName: database.name,
    // Without the schema version: siblings and tombstones outlive a migration.
    collectionName: `dunlin-${collection.name}`,
    databaseInstanceToken: database.token,
    multiInstance: database.multiInstance,
    options: {},
    schema: sidecarSchema(collection),
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

function sidecarSchema(collection: RxCollection): RxJsonSchema<RxDocumentData<RecordDocument>> {
  const { jsonSchema, primaryPath } = collection.schema
  const properties = jsonSchema.properties as Record<string, { readonly maxLength?: number }>
  const keyLength = properties[primaryPath]?.maxLength ?? 1024
  const encrypted = (jsonSchema.encrypted?.length ?? 0) > 0
  const schema: RxJsonSchema<RecordDocument> = {
    title: "DunlinSidecar",
    version: 0,
    type: "object",
    primaryKey: "id",
    properties: { id: { type: "string", maxLength: keyLength + ID_ROOM }, data: { type: "string" } },
    required: ["id", "data"],
    additionalProperties: false,
    ...(encrypted ? { encrypted: ["data"] } : {}),
  }
  return fillWithDefaultSettings(schema)
}
