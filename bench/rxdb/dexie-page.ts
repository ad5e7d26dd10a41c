// One peer of the RxDB benchmarks in a browser: a collection on Dexie, which keeps it in IndexedDB.
import * as dunlin from "@dunlin/rxdb"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getConnectionHandlerSimplePeer, replicateWebRTC } from "rxdb/plugins/replication-webrtc"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { makeDocuments, schemas } from "./documents.ts"
import type { Engine } from "./peer.ts"

/** RxDB's plugin takes two minutes for 100,000 documents, and one for 10,000 with its default options. */
const REACHED_MS = 400_000

let collection: RxCollection | null = null
let stored = 0
const delays: number[] = []
let reachedAt: { readonly count: number; readonly at: number } | null = null

/** Epoch milliseconds with fractions: one clock for all pages of the machine. */
const nowMs = (): number => performance.timeOrigin + performance.now()

export async function open(): Promise<void> {
  const database = await createRxDatabase({
    name: `bench-${crypto.randomUUID()}`,
    storage: getRxStorageDexie(),
    multiInstance: false,
    eventReduce: true,
  })
  const made = await database.addCollections({ documents: { schema: schemas.document } })
  collection = made["documents"] as RxCollection
  collection.$.subscribe(({ documentData }) => {
    const { sentAt } = documentData as { readonly sentAt?: string }
    if (sentAt !== undefined) delays.push(nowMs() - Number(sentAt))
  })
  collection.storageInstance.changeStream().subscribe(({ events }) => {
    stored += events.length
    reachedAt = { count: stored, at: nowMs() }
  })
}

/** Returns milliseconds. */
export async function fill(count: number): Promise<number> {
  const documents = makeDocuments(0, count)
  const started = nowMs()
  const { error } = await opened().bulkInsert(documents)
  if (error.length > 0) throw new Error(`${error.length} inserts failed`)
  return nowMs() - started
}

export interface JoinOptions {
  readonly engine: Engine
  readonly server: string
  readonly topic: string
  readonly batchSize: number | null
}

/** Returns when it began, in epoch milliseconds. */
export async function join({ engine, server, topic, batchSize }: JoinOptions): Promise<number> {
  const began = nowMs()
  if (engine === "dunlin") {
    await dunlin.replicateWebRTC({
      collection: opened(),
      topic,
      connectionHandlerCreator: dunlin.getConnectionHandlerSimplePeer({ signalingServerUrl: server }),
      pull: {},
      push: {},
    })
    return began
  }
  // RxDB's plugin wants this of the page and says so (RC7).
  Object.assign(globalThis, {
    process: {
      env: {},
      nextTick: (step: (...given: unknown[]) => void, ...given: unknown[]) =>
        queueMicrotask(() => step(...given)),
    },
  })
  const batch = batchSize === null ? {} : { batchSize }
  const pool = await replicateWebRTC({
    collection: opened(),
    topic,
    connectionHandlerCreator: getConnectionHandlerSimplePeer({ signalingServerUrl: server }),
    pull: { ...batch },
    push: { ...batch },
  })
  pool.error$.subscribe(() => {})
  return began
}

/** When the collection held so many documents, in epoch milliseconds. */
export async function reached(count: number): Promise<number> {
  for (let waited = 0; waited < REACHED_MS; waited += 20) {
    if (reachedAt !== null && reachedAt.count >= count) return reachedAt.at
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`only ${stored} of ${count} came`)
}

export async function insertStamped(id: string): Promise<void> {
  await opened().insert({ ...makeDocuments(0, 1)[0], id, sentAt: String(nowMs()) })
}

/** Milliseconds from each stamped insert, wherever it was made, to its event here. */
export const delaysOfEvents = (): readonly number[] => delays

const tasks: number[] = []
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) tasks.push(duration)
}).observe({ type: "longtask" })

/** The page's tasks over 50 ms so far, in milliseconds: while one runs, the page answers nobody. */
export const longTasks = (): readonly number[] => tasks.splice(0)

function opened(): RxCollection {
  if (collection === null) throw new Error("open first")
  return collection
}
