import type { RxCollection } from "rxdb"
import { getChangedDocumentsSince, normalizeMangoQuery, prepareQuery } from "rxdb/plugins/core"
import type { DocumentData, Row } from "./document-shape.ts"

export interface ChangedRows {
  /** Ordered by write time, tombstones included. Fewer rows than the limit mean that there are no more. */
  readonly rows: readonly Row[]
  readonly checkpoint: unknown
}

type Instance = RxCollection<DocumentData>["storageInstance"]["originalStorageInstance"]

/** The checkpoint of storages in which RxDB finds changes by a query. */
interface QueryCheckpoint {
  readonly id: string
  readonly lwt: number
}

/**
 * Rows written after the checkpoint. Where the storage has no method for this, RxDB's query has an "or" that no index
 * answers, so that every row goes through a matcher; its two halves are answered by the index alone.
 */
export async function rowsChangedSince(
  instance: Instance,
  limit: number,
  checkpoint: unknown,
): Promise<ChangedRows> {
  const since = checkpoint ?? undefined
  if (instance.getChangedDocumentsSince !== undefined || !isQueryCheckpoint(since ?? START)) {
    const page = await getChangedDocumentsSince(instance, limit, since as never)
    return { rows: page.documents, checkpoint: page.checkpoint }
  }
  const { id, lwt } = (since ?? START) as QueryCheckpoint
  const path = instance.schema.primaryKey as unknown
  const primaryPath = typeof path === "string" ? path : (path as { readonly key: string }).key
  const rows: Row[] = []
  if (lwt > 0)
    rows.push(
      ...(await query(instance, primaryPath, limit, {
        "_meta.lwt": { $eq: lwt },
        [primaryPath]: { $gt: id },
      })),
    )
  if (rows.length < limit)
    rows.push(...(await query(instance, primaryPath, limit - rows.length, { "_meta.lwt": { $gt: lwt } })))
  const last = rows.at(-1)
  return {
    rows,
    checkpoint: last === undefined ? since : { id: String(last[primaryPath]), lwt: last._meta.lwt },
  }
}

const START: QueryCheckpoint = { id: "", lwt: 0 }

async function query(
  instance: Instance,
  primaryPath: string,
  limit: number,
  selector: Readonly<Record<string, unknown>>,
): Promise<readonly Row[]> {
  const filled = normalizeMangoQuery(instance.schema, {
    selector,
    sort: [{ "_meta.lwt": "asc" }, { [primaryPath]: "asc" }] as never,
    skip: 0,
    limit,
  })
  const { documents } = await instance.query(prepareQuery(instance.schema, filled))
  return documents
}

function isQueryCheckpoint(value: unknown): value is QueryCheckpoint {
  if (typeof value !== "object" || value === null) return false
  const { id, lwt } = value as { readonly id?: unknown; readonly lwt?: unknown }
  return typeof id === "string" && typeof lwt === "number"
}
