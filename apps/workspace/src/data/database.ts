import {
  createRxDatabase,
  type RxCollection,
  type RxConflictHandler,
  type RxStorage,
} from "rxdb/plugins/core"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { storageWorks } from "../device/storage-health.ts"
import {
  bodySchema,
  documentSchema,
  mergeSchema,
  taskSchema,
  type BodyRow,
  type DocumentRow,
  type MergeRow,
  type TaskRow,
} from "./schemas.ts"

export interface WorkspaceDatabase {
  readonly documents: RxCollection<DocumentRow>
  readonly tasks: RxCollection<TaskRow>
  readonly bodies: RxCollection<BodyRow>
  readonly merges: RxCollection<MergeRow>
  /** False when the browser refuses storage and everything lives in memory. */
  readonly durable: boolean
  close(): Promise<void>
  /** Deletes everything of this workspace from this device. */
  remove(): Promise<void>
}

export interface ConflictHandlers {
  readonly documents: RxConflictHandler<DocumentRow>
  readonly tasks: RxConflictHandler<TaskRow>
}

export async function openDatabase(name: string, handlers: ConflictHandlers): Promise<WorkspaceDatabase> {
  const durable = await storageWorks()
  const database = await createRxDatabase({
    name,
    storage: durable ? getRxStorageDexie() : await memoryStorage(),
    multiInstance: durable,
    eventReduce: true,
  })
  const collections = await database.addCollections<{
    documents: RxCollection<DocumentRow>
    tasks: RxCollection<TaskRow>
    bodies: RxCollection<BodyRow>
    merges: RxCollection<MergeRow>
  }>({
    documents: { schema: documentSchema, conflictHandler: handlers.documents },
    tasks: { schema: taskSchema, conflictHandler: handlers.tasks },
    bodies: { schema: bodySchema },
    merges: { schema: mergeSchema },
  })
  return {
    ...collections,
    durable,
    close: async () => void (await database.close()),
    remove: async () => void (await database.remove()),
  }
}

async function memoryStorage(): Promise<RxStorage<unknown, unknown>> {
  const { getRxStorageMemory } = await import("rxdb/plugins/storage-memory")
  return getRxStorageMemory() as RxStorage<unknown, unknown>
}
