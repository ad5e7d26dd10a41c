import { ReplicaError, type ReplicaHost, type ReplicaReport, systemClock } from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { type AttachedCollection, attachedCollection } from "./attached-collection.ts"
import { attachmentShelf } from "./attachment-shelf.ts"
import type { CollectionHandle } from "./collection-handle.ts"
import { collectionRows } from "./collection-rows.ts"
import { assertMigrated } from "./earlier-schema.ts"
import { changeOf } from "./local-changes.ts"
import { createMaterialiser } from "./materialiser.ts"
import { mergePolicy } from "./merge-policy.ts"
import { documentModifiers } from "./modifiers.ts"
import { createOwedRows } from "./owed-rows.ts"
import { createRegisterStore, type RegisterStoreDeps } from "./register-store.ts"
import { createRowJournal } from "./row-journal.ts"
import type { RxdbHandle, RxdbReplicaOptions } from "./rxdb-replica.ts"
import { createSerialQueue } from "./serial-queue.ts"
import { createSetAside } from "./set-aside.ts"
import { openSidecar, type Sidecar } from "./sidecar.ts"
import type { Stamper } from "./stamper.ts"
import { metaWithRecords, openMeta, renewMeta } from "./store-meta.ts"

/** A collection whose lock this tab has. */
export interface OpeningCollection {
  readonly collection: RxCollection
  readonly stamper: Stamper
  readonly options: RxdbReplicaOptions
  readonly holdsAttachments: boolean
  readonly host: ReplicaHost
  readonly own: CollectionHandle
  /** Called after the collection is detached. */
  readonly release: () => Promise<void>
}

/**
 * Opens the sidecar, shows states whose rows are still owed, and assembles what a room calls. Rejects with `ReplicaError`
 * "not-migrated" or "storage-failed".
 */
export async function openCollection(opening: OpeningCollection): Promise<AttachedCollection<RxdbHandle>> {
  try {
    await assertMigrated(opening.collection)
    return await openWithSidecar(opening)
  } catch (cause) {
    if (cause instanceof ReplicaError) throw cause
    throw new ReplicaError(
      "storage-failed",
      `"${opening.collection.name}" cannot be replicated now, because its storage failed: ${String(cause)}. Its documents are as they were. Replicate it again once the cause is gone.`,
      { cause },
    )
  }
}

async function openWithSidecar(opening: OpeningCollection): Promise<AttachedCollection<RxdbHandle>> {
  const sidecar = await openSidecar(opening.collection)
  try {
    return await openBeside(sidecar, opening)
  } catch (error) {
    await sidecar.close()
    throw error
  }
}

async function openBeside(
  sidecar: Sidecar,
  { collection, stamper, options, holdsAttachments, host, own, release }: OpeningCollection,
): Promise<AttachedCollection<RxdbHandle>> {
  const { conflicts, error$, traffic$, attachments$ } = own
  const report = (one: ReplicaReport): void => {
    host.report(one)
    error$.next(one)
  }
  let meta = await openMeta(sidecar, report)
  const { shape } = stamper
  const rows = collectionRows(collection, shape)
  const clock = systemClock()
  const shelf = attachmentShelf(shape.attachments, rows, sidecar, clock, (progress) =>
    attachments$.next(progress),
  )
  const leaving = new AbortController()
  let attached: AttachedCollection<RxdbHandle> | null = null
  const modifiers = documentModifiers(shape, {
    leaving: leaving.signal,
    clock,
    pushAnswered: (key) => attached?.tryNow(key),
    ...(options.push?.modifier === undefined ? {} : { push: options.push.modifier }),
    ...(options.pull?.modifier === undefined ? {} : { pull: options.pull.modifier }),
  })
  let freedCount = 0
  const setAside = createSetAside(sidecar, own.setAside, (keys) => {
    freedCount++
    for (const key of keys) attached?.tryNow(key)
  })
  await setAside.open(async () => {
    meta = await renewMeta(sidecar, meta)
  })
  const storeDeps: RegisterStoreDeps = {
    collection,
    shape,
    rows,
    sidecar,
    stamper,
    policy: mergePolicy(collection, shape, leaving.signal),
    modifiers,
    report,
    setAside: {
      // What waited for an answer when the room was left may be in order: the next scan begins before it.
      note: (read) =>
        setAside.note(leaving.signal.aborted ? read.filter(({ trouble }) => trouble?.of !== "moment") : read),
    },
    bornBefore: meta.bornBefore,
    holdsRecords: meta.holdsRecords,
    firstRecord: () => metaWithRecords(meta),
    holdsAttachments,
  }
  const store = createRegisterStore(storeDeps)
  const journal = createRowJournal(sidecar)
  const queue = createSerialQueue()
  const materialiser = createMaterialiser({
    store,
    rows,
    shape,
    modifiers,
    stamper,
    shelf,
    holdsAttachments,
    journal,
    report,
    unshown(left) {
      host.changed(left.map(({ key, held, state }) => changeOf(key, held.state, state)))
      owedRows.showLater()
    },
  })
  const owedRows = createOwedRows({ show: () => materialiser.materialise([]), queue, clock, report })
  await journal.open()
  await owedRows.show()
  try {
    // Only after that: rows shown just now may need data older than the limit for data without a document.
    if (holdsAttachments) await shelf.sweep()
  } catch (error) {
    owedRows.stop()
    throw error
  }
  // Every chunk that leaves the shelf leaves a removed record; documents alone leave few. Nobody waits for the purge.
  if (holdsAttachments)
    void sidecar.purge(REMOVED_FOR_MS).catch((cause: unknown) =>
      report({
        type: "warning",
        reason: "records that were removed beside the rows could not be purged and still take up space",
        cause,
      }),
    )
  attached = attachedCollection<RxdbHandle>({
    clock,
    collection,
    host,
    handle: own.handle,
    traffic: traffic$,
    shape,
    store,
    materialiser,
    modifiers,
    sidecar,
    stamper,
    shelf,
    conflicts,
    queue,
    report,
    storeId: meta.storeId,
    holdsAttachments,
    sends: options.direction !== "receive-only",
    setAside: own.setAside,
    freedCount: () => freedCount,
    giveUp: () => leaving.abort(),
    async release() {
      owedRows.stop()
      await sidecar.close()
      await release()
    },
  })
  attached.tryAgain([...own.setAside.get().keys()])
  return attached
}

/** Longer than any stored index lags behind its collection. */
const REMOVED_FOR_MS = 24 * 60 * 60 * 1000
