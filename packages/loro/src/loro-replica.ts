import {
  type AttachedReplica,
  type Clock,
  type Direction,
  KIND_LORO,
  type Random,
  type Replica,
  ReplicaError,
  type ReplicaHost,
  systemClock,
  systemRandom,
} from "@dunlin/core"

import type { LoroDocuments } from "./loro-documents.ts"
import { LoroReplicaError } from "./loro-replica-error.ts"
import { attachDocuments } from "./replica/attached-documents.ts"
import { createDocumentReader } from "./replica/document-reader.ts"
import { announcedHash } from "./replica/document-recovery.ts"
import { createDocumentSet, type DocumentSet } from "./replica/document-set.ts"
import { createDocumentShelf } from "./replica/document-shelf.ts"
import type { DocumentShelf } from "./replica/document-shelf-api.ts"
import { createDocuments } from "./replica/open-documents.ts"
import { createTabSync } from "./replica/tab-sync.ts"
import type { DocumentLimits } from "./replica/update-check.ts"
import { warmUpLoro } from "./replica/warm-up.ts"
import type { DocumentStore, OpenDocumentStore } from "./store/document-store.ts"
import { KEY_BLOB } from "./store/key-blob.ts"
import { createStoreWriter } from "./store/store-writer.ts"

/** Which documents to replicate, where to keep them, and how large they may be. */
export interface LoroReplicaOptions {
  /** Pairs the documents across devices: the same name is the same set. At most 128 UTF-8 bytes. */
  readonly name: string
  /** Where the documents are kept: `memoryStore()`, `indexedDbStore(name)`, `lmdbStore({ path })`. */
  readonly store: DocumentStore
  /** Devices with different tags exchange no documents: raise the tag when old applications could not read new documents. */
  readonly schemaTag?: string | undefined
  /** Whether edits travel both ways, the default, or only from or to this device. */
  readonly direction?: Direction | undefined
  /** The largest update or snapshot that is taken from a peer; a snapshot may unpack to twice as much. 32 MiB by default. */
  readonly maxDocumentBytes?: number | undefined
  /**
   * How many operations a document may have when some of them come from a peer: a character typed or deleted is one,
   * so is a value set. 4,194,304 by default, for which Loro may need more than a gigabyte in the worst case.
   */
  readonly maxDocumentOperations?: number | undefined
  /** How many documents stay in memory although nobody has them open. 200 by default. */
  readonly maxIdleDocuments?: number | undefined
  /** For tests: the system's by default. */
  readonly clock?: Clock | undefined
  /** For tests: the system's by default. */
  readonly random?: Random | undefined
}

const MAX_DOCUMENT_BYTES = 33_554_432
const MAX_DOCUMENT_OPERATIONS = 4_194_304
const MAX_IDLE_DOCUMENTS = 200

/** A set of Loro documents that a room replicates: `const docs = await room.replicate(loroReplica({ … }))`. */
export function loroReplica(options: LoroReplicaOptions): Replica<LoroDocuments> {
  const schemaTag = options.schemaTag ?? "loro"
  assertLabel("name", options.name)
  assertLabel("schemaTag", schemaTag)
  let inUse = false
  return {
    name: options.name,
    kind: KIND_LORO,
    schemaTag,
    direction: options.direction ?? "both",
    async attach(host, wait = {}) {
      if (inUse) {
        throw new ReplicaError(
          "replica-in-use",
          `replica "${options.name}" is in another room: close that room first`,
        )
      }
      inUse = true
      const free = (): void => void (inUse = false)
      try {
        const store = await options.store.open(wait)
        return await attachStore(options, store, host, free).catch(async (error: unknown) => {
          await store.close()
          throw error
        })
      } catch (error) {
        free()
        throw error
      }
    },
  }
}

async function attachStore(
  options: LoroReplicaOptions,
  store: OpenDocumentStore,
  host: ReplicaHost,
  free: () => void,
): Promise<AttachedReplica<LoroDocuments>> {
  if ((await store.blob(KEY_BLOB)) !== null) {
    throw new LoroReplicaError(
      "wrong-key",
      `store "${options.store.name}" is encrypted: wrap it in encryptedStore(store, key)`,
    )
  }
  const clock = options.clock ?? systemClock()
  const random = options.random ?? systemRandom()
  const writer = createStoreWriter(store, await store.lastSequence())
  const limits: DocumentLimits = {
    maxBytes: options.maxDocumentBytes ?? MAX_DOCUMENT_BYTES,
    maxOperations: options.maxDocumentOperations ?? MAX_DOCUMENT_OPERATIONS,
  }
  let detached = false
  // A detached replica is silent: its room has forgotten it.
  const changed: ReplicaHost["changed"] = (changes) => {
    if (!detached) host.changed(changes)
  }

  const tabs = createTabSync({
    store,
    writer,
    clock,
    parts: () => ({ shelf, set }),
    changed: (change) => changed([change]),
    report: (report) => host.report(report),
  })
  const shelf: DocumentShelf = createDocumentShelf({
    store,
    writer,
    clock,
    random,
    device: host.device,
    maxIdleDocuments: options.maxIdleDocuments ?? MAX_IDLE_DOCUMENTS,
    isHolder: () => tabs.isHolder(),
    onLocal: (entry, change) => set.local(entry, change),
    onInbox: (id, key, delta) => tabs.postInbox(id, key, delta),
    onRecovered: (entry) => set.recovered(entry),
    onDamaged: (entry) => changed([{ key: entry.id, before: null, stateHash: announcedHash(entry) }]),
    report: (report) => host.report(report),
  })
  const set: DocumentSet = createDocumentSet({
    shelf,
    limits,
    device: host.device,
    changed: (change) => changed([change]),
    post: (change, delta) => tabs.post(change, delta),
    report: (report) => host.report(report),
  })
  const report: ReplicaHost["report"] = (one) => host.report(one)
  const reader = createDocumentReader({ shelf, set, store, report })
  const documents = createDocuments({ shelf, set, store, host, clock, writer, limits })
  await tabs.start()
  const cancelWarmUp = clock.after(0, () => {
    if ([...shelf.entries()].length === 0) warmUpLoro({ clock, random })
  })

  let detaching: Promise<void> | null = null
  const detach = async (): Promise<void> => {
    cancelWarmUp()
    await documents.close()
    await tabs.quiet()
    await shelf.close()
    detached = true
    tabs.stop()
    await writer.idle()
    await store.close()
    free()
  }
  return {
    ...attachDocuments({ store, writer, shelf, set, reader, clock, report, isHolder: () => tabs.isHolder() }),
    handle: documents.handle,
    detach() {
      detaching ??= detach()
      return detaching
    },
  }
}

function assertLabel(what: string, label: string): void {
  const bytes = new TextEncoder().encode(label).length
  if (bytes > 0 && bytes <= 128) return
  throw new LoroReplicaError("invalid-option", `${what} takes 1 to 128 UTF-8 bytes, not ${bytes}`)
}
