import { type Clock, systemClock } from "../ports/clock.ts"
import { type Random, systemRandom } from "../ports/random.ts"
import {
  type AttachedReplica,
  type Direction,
  KIND_MEMORY,
  type ReadOutcome,
  type Replica,
  ReplicaError,
  type ReplicaHost,
  type ScanPage,
} from "../ports/replica.ts"
import type { Store } from "../ports/store.ts"
import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import type { Dot } from "../protocol/register/dot.ts"
import type { JsonObject } from "../protocol/register/json.ts"
import type { RegisterState } from "../protocol/register/register.ts"
import { type MemoryDocuments, type MemoryDocumentsOptions, openMemoryDocuments } from "./memory-documents.ts"
import { createMemoryStore } from "./memory-store.ts"

/** The name, and what differs from plain documents that live as long as the process: a store, a conflict handler, a clock. */
export interface MemoryReplicaOptions extends Partial<Omit<MemoryDocumentsOptions, "report">> {
  readonly name: string
  /** Default "1". Replicas with different tags are not synchronised. */
  readonly schemaTag?: string
  /** Default "both". */
  readonly direction?: Direction
}

/** The documents of a memory replica, as an application uses them. */
export interface MemoryCollection {
  /** What is shown; null when there is no such document. */
  get(key: string): JsonObject | null
  /** Keys of the documents that are shown; deleted ones are not. */
  readonly keys: readonly string[]
  /** Resolves with the dot that names the write once it is durable. */
  set(key: string, payload: JsonObject): Promise<Dot>
  delete(key: string): Promise<Dot>
  /** All that is held of a document, for tests to inspect. */
  state(key: string): RegisterState | null
  /** Calls `listener` with the key of each document that changed. */
  subscribe(listener: (key: string) => void): () => void
  /** Resolves when `peers` other devices hold what this one does. */
  synced(options?: { readonly peers?: number; readonly signal?: AbortSignal | undefined }): Promise<void>
}

const INDEX_KEY = "index"
const SCAN_PAGE_ENTRIES = 256
const MAX_KEY_BYTES = 4_096
const READ_BYTES = 1_048_576

/**
 * JSON documents with the application's conflict handler, in memory or in a `Store`: just the document register behind
 * the replica port. The simulator runs it, and it suits tests and small Node programs.
 */
export function createMemoryReplica(options: MemoryReplicaOptions): Replica<MemoryCollection> {
  const { name, schemaTag = "1", direction = "both" } = options
  const store: Store = options.store ?? createMemoryStore()
  const clock: Clock = options.clock ?? systemClock()
  const random: Random = options.random ?? systemRandom()
  let opening: Promise<MemoryDocuments> | null = null
  let host: ReplicaHost | null = null

  const open = (): Promise<MemoryDocuments> => {
    opening ??= openMemoryDocuments({
      ...options,
      store,
      clock,
      random,
      report: (report) => host?.report(report),
    })
    return opening
  }

  return {
    name,
    kind: KIND_MEMORY,
    schemaTag,
    direction,
    async attach(to, { signal } = {}) {
      signal?.throwIfAborted()
      if (host !== null) {
        throw new ReplicaError(
          "replica-in-use",
          `The replica "${name}" is in another room; close that first.`,
        )
      }
      host = to
      try {
        const documents = await open()
        signal?.throwIfAborted()
        return attachTo(documents, store, to, () => {
          host = null
        })
      } catch (error) {
        host = null
        throw error
      }
    },
  }
}

function attachTo(
  documents: MemoryDocuments,
  store: Store,
  host: ReplicaHost,
  release: () => void,
): AttachedReplica<MemoryCollection> {
  let detaching: Promise<void> | null = null
  documents.onLocal((changes) => {
    if (detaching === null) host.changed(changes)
  })

  const readOne = (key: string, summary: Uint8Array): ReadOutcome => {
    try {
      const found = documents.read(key, summary)
      return found === null ? { type: "none" } : { type: "delta", ...found }
    } catch (error) {
      if (error instanceof DecodeError) return { type: "refused", reason: error.message }
      throw error
    }
  }

  return {
    handle: createCollection(documents, host),
    async *scan(since, { signal } = {}) {
      const from = since === null ? 0 : decodeCursor(since)
      if (from > documents.newest) {
        throw new ReplicaError("stale-cursor", "The stored index is newer than the documents.")
      }
      const changes = documents.changesSince(from)
      for (let start = 0; start < changes.length; start += SCAN_PAGE_ENTRIES) {
        signal?.throwIfAborted()
        const entries = changes.slice(start, start + SCAN_PAGE_ENTRIES)
        yield { entries, cursor: encodeCursor(entries.at(-1)?.at ?? from) } satisfies ScanPage
      }
      if (changes.length === 0) yield { entries: [], cursor: encodeCursor(from) }
    },
    loadIndex: () => store.get(INDEX_KEY),
    saveIndex: (blob) => store.write([{ key: INDEX_KEY, value: blob }]),
    async summarize(keys) {
      return keys.map((key) => documents.summary(key))
    },
    async read(requests) {
      const outcomes: ReadOutcome[] = []
      let bytes = 0
      for (const { key, summary } of requests) {
        if (bytes > READ_BYTES) break
        const outcome = readOne(key, summary)
        if (outcome.type === "delta") bytes += outcome.delta.length
        outcomes.push(outcome)
      }
      return outcomes
    },
    join: (entries) => documents.join(entries),
    detach() {
      detaching ??= documents.settled().then(release)
      return detaching
    },
  }
}

function createCollection(documents: MemoryDocuments, host: ReplicaHost): MemoryCollection {
  const write = async (key: string, deleted: boolean, payload: JsonObject): Promise<Dot> => {
    if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) {
      throw new ReplicaError("invalid-option", `A key has at most ${MAX_KEY_BYTES} bytes; shorten this one.`)
    }
    return documents.write(key, { deleted, payload })
  }
  return {
    get: (key) => documents.shown(key),
    get keys() {
      return documents.shownKeys
    },
    set: (key, payload) => write(key, false, payload),
    delete: (key) => write(key, true, {}),
    state: (key) => documents.state(key),
    subscribe: (listener) => documents.onShown(listener),
    synced: (options) => host.synced(options),
  }
}

function encodeCursor(at: number): Uint8Array {
  return new ByteWriter(8).u53(at).finish()
}

function decodeCursor(cursor: Uint8Array): number {
  try {
    const read = new ByteReader(cursor)
    const at = read.u53()
    read.end()
    return at
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new ReplicaError("stale-cursor", "The stored cursor is not from this store.", { cause: error })
  }
}
