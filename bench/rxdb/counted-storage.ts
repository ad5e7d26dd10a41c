import type { RxStorage } from "rxdb/plugins/core"

/** Storage rows written and read by this process. */
export const writes = createCounter()

/** The same storage with counters. RxDB's own internal store is not counted. */
export function countedStorage<Internals, Options>(
  storage: RxStorage<Internals, Options>,
): RxStorage<Internals, Options> {
  return {
    ...storage,
    async createStorageInstance(parameters) {
      const instance = await storage.createStorageInstance(parameters)
      const { collectionName } = parameters
      if (collectionName.startsWith("_rxdb")) return instance
      const isSide = collectionName.startsWith("dunlin-") || collectionName.startsWith("rx-replication-meta")
      const bulkWrite = instance.bulkWrite.bind(instance)
      instance.bulkWrite = async (rows, context) => {
        const result = await bulkWrite(rows, context)
        writes.wrote(rows.length - result.error.length, isSide)
        return result
      }
      const changed = instance.getChangedDocumentsSince?.bind(instance)
      if (changed !== undefined)
        instance.getChangedDocumentsSince = async (limit, checkpoint) => {
          const page = await changed(limit, checkpoint)
          if (!isSide) writes.read(page.documents.length)
          return page
        }
      const query = instance.query.bind(instance)
      instance.query = async (prepared) => {
        const result = await query(prepared)
        if (!isSide) writes.read(result.documents.length)
        return result
      }
      const find = instance.findDocumentsById.bind(instance)
      instance.findDocumentsById = async (ids, withDeleted) => {
        const found = await find(ids, withDeleted)
        if (!isSide) writes.read(found.length)
        return found
      }
      return instance
    },
  }
}

function createCounter() {
  let collectionWrites = 0
  let sideWrites = 0
  let rowsRead = 0
  let steps: { readonly count: number; readonly at: number }[] = []
  return {
    wrote(count: number, isSide: boolean) {
      if (isSide) {
        sideWrites += count
        return
      }
      collectionWrites += count
      steps.push({ count: collectionWrites, at: Number(process.hrtime.bigint()) / 1e6 })
    },
    read: (count: number) => void (rowsRead += count),
    reachedAt: (count: number) => steps.find((step) => step.count >= count)?.at ?? null,
    reset() {
      collectionWrites = 0
      sideWrites = 0
      rowsRead = 0
      steps = []
    },
    totals: () => ({ collectionWrites, sideWrites, rowsRead }),
  }
}
