import type { RxDocumentData, RxStorage } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"

type AnyRow = RxDocumentData<Record<string, unknown>>

/** One write that a storage confirmed. It is there completely or not at all, as with a transaction. */
interface DurableWrite {
  readonly collection: string
  readonly rows: readonly AnyRow[]
}

/** A disk of which every past state can be started from again. */
export interface CrashDisk {
  readonly storage: RxStorage<unknown, unknown>
  /** Writes confirmed so far. */
  readonly writes: readonly DurableWrite[]
}

/** Memory storage that begins with the given writes, and notes each that it confirms. */
export function crashDisk(past: readonly DurableWrite[] = []): CrashDisk {
  const inner = getRxStorageMemory() as RxStorage<unknown, unknown>
  const writes: DurableWrite[] = [...past]
  const rowsBefore = (collection: string): readonly AnyRow[] => {
    const byId = new Map<string, AnyRow>()
    for (const write of past)
      if (write.collection === collection)
        for (const row of write.rows) {
          const id = String(row["id"])
          byId.set(id, withData(structuredClone(row), byId.get(id)))
        }
    return [...byId.values()]
  }
  const storage: RxStorage<unknown, unknown> = {
    ...inner,
    async createStorageInstance(parameters) {
      const instance = await inner.createStorageInstance(parameters)
      const { collectionName: collection } = parameters
      const before = rowsBefore(collection)
      if (before.length > 0)
        await instance.bulkWrite(before.map((document) => ({ document })) as never, "what the disk holds")
      const bulkWrite = instance.bulkWrite.bind(instance)
      instance.bulkWrite = async (rows, context) => {
        const result = await bulkWrite(rows, context)
        const failed = new Set(result.error.map((one) => one.documentId))
        const written = rows
          .map((row) => structuredClone(row.document) as unknown as AnyRow)
          .filter((row) => !failed.has(String(row["id"])))
        if (written.length > 0) writes.push({ collection, rows: written })
        return result
      }
      return instance
    },
  }
  return { storage, writes }
}

/** A write has only stubs for attachments whose data is already stored: a fresh storage needs that data too. */
function withData(row: AnyRow, before: AnyRow | undefined): AnyRow {
  const held = before?._attachments ?? {}
  const all = Object.entries(row._attachments).map(([name, one]) => [name, "data" in one ? one : held[name]])
  return { ...row, _attachments: row._deleted ? {} : Object.fromEntries(all) }
}
