import type { OpenDocumentStore, StoreBatch, StoredRow } from "./document-store.ts"

/** A batch whose rows get their sequence from the writer. */
export interface WriterBatch extends Omit<StoreBatch, "rows"> {
  readonly rows?: readonly Omit<StoredRow, "sequence">[]
}

/** Writes batches in order. While one transaction is under way, the next batches gather and share the next one. */
export interface StoreWriter {
  /** Resolves when durable, with the keys of its inbox entries. */
  write(batch: WriterBatch): Promise<readonly number[]>
  /** Resolves when everything written before is durable or has failed. */
  idle(): Promise<void>
  lastSequence(): number
  /** Continues above a sequence that another opener gave. */
  follow(sequence: number): void
}

interface Job {
  readonly batch: StoreBatch
  readonly resolve: (keys: readonly number[]) => void
  readonly reject: (error: unknown) => void
}

const MAX_GROUP = 512

export function createStoreWriter(store: OpenDocumentStore, firstSequence: number): StoreWriter {
  let sequence = firstSequence
  let queue: Job[] = []
  let running: Promise<void> | null = null

  const run = async (): Promise<void> => {
    while (queue.length > 0) {
      const group = takeGroup(queue)
      queue = queue.slice(group.length)
      try {
        const keys = await store.commit(mergeBatches(group.map((job) => job.batch)))
        let at = 0
        for (const job of group) {
          const count = job.batch.inbox?.length ?? 0
          job.resolve(keys.slice(at, at + count))
          at += count
        }
      } catch (error) {
        for (const job of group) job.reject(error)
      }
    }
    running = null
  }

  return {
    write(batch) {
      const rows = (batch.rows ?? []).map((row) => ({ ...row, sequence: ++sequence }))
      const written = new Promise<readonly number[]>((resolve, reject) => {
        queue.push({ batch: { ...batch, rows }, resolve, reject })
      })
      running ??= Promise.resolve().then(run)
      return written
    },
    async idle() {
      while (running !== null) await running
    },
    lastSequence: () => sequence,
    follow: (other) => void (sequence = Math.max(sequence, other)),
  }
}

/** Within one transaction trims come first, so a batch that trims must not share one with the entries it trims. */
function takeGroup(queue: readonly Job[]): readonly Job[] {
  const end = queue.findIndex(
    (job, index) => index > 0 && (index >= MAX_GROUP || (job.batch.trims?.length ?? 0) > 0),
  )
  return end === -1 ? queue : queue.slice(0, end)
}

function mergeBatches(batches: readonly StoreBatch[]): StoreBatch {
  const first = batches[0]
  if (batches.length === 1 && first !== undefined) return first
  const rowsById = new Map<string, StoredRow>()
  for (const batch of batches) for (const row of batch.rows ?? []) rowsById.set(row.id, row)
  return {
    trims: batches.flatMap((batch) => batch.trims ?? []),
    logs: batches.flatMap((batch) => batch.logs ?? []),
    snapshots: batches.flatMap((batch) => batch.snapshots ?? []),
    rows: [...rowsById.values()],
    inbox: batches.flatMap((batch) => batch.inbox ?? []),
    inboxDeletes: batches.flatMap((batch) => batch.inboxDeletes ?? []),
    blobs: batches.flatMap((batch) => batch.blobs ?? []),
  }
}
