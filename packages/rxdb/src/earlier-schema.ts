import { ReplicaError } from "@dunlin/core"
import type { RxCollection } from "rxdb"
import {
  getPreviousVersions,
  getPrimaryKeyOfInternalDocument,
  INTERNAL_CONTEXT_COLLECTION,
  INTERNAL_CONTEXT_MIGRATION_STATUS,
} from "rxdb/plugins/core"

/**
 * Rejects while documents wait for migration from an earlier version of the schema. RxDB's migration drops the old
 * state of a document that was meanwhile written in the new place, moves tombstones without an event, and keeps all
 * write times, so that no later search for new rows would find what it moved.
 */
export async function assertMigrated({ database, name, schema }: RxCollection): Promise<void> {
  const former = getPreviousVersions(schema.jsonSchema).map((version) =>
    getPrimaryKeyOfInternalDocument(`${name}-${version}`, INTERNAL_CONTEXT_COLLECTION),
  )
  if (former.length === 0) return
  const status = getPrimaryKeyOfInternalDocument(
    `${name}-v-${schema.version}`,
    INTERNAL_CONTEXT_MIGRATION_STATUS,
  )
  const known = await database.internalStore.findDocumentsById([status, ...former], true)
  const waiting = known.filter(({ id, _deleted }) => id !== status && !_deleted)
  if (waiting.length === 0) return
  // With several earlier versions, one whose migration was cut short stays listed until the next start. A version that
  // is listed since the last migration ended is another matter: an older application has run in between.
  const isDone = known.some(({ id, data }) => id === status && data.status === "DONE")
  const endedAt = known.filter(({ _deleted }) => _deleted).map(({ _meta }) => _meta.lwt)
  if (isDone && waiting.every(({ _meta }) => endedAt.some((ended) => ended > _meta.lwt))) return
  throw new ReplicaError(
    "not-migrated",
    `"${name}" still has documents of an earlier version of its schema. Await startMigration(), or migratePromise() if a migration runs, before you replicate it.`,
  )
}
