import { ReplicaError, type ScanPage, stateHash } from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { now } from "rxdb/plugins/core"
import { rowsChangedSince } from "./changed-rows.ts"
import { type CollectionCursor, decodeCursor, encodeCursor, withOverlap } from "./collection-cursor.ts"
import type { DocumentShape } from "./document-shape.ts"
import type { Held, RegisterStore } from "./register-store.ts"
import type { SerialQueue } from "./serial-queue.ts"
import type { Sidecar } from "./sidecar.ts"
import { keyOfRecord } from "./sidecar-record.ts"
import type { UnheardRows } from "./unheard-rows.ts"

export interface ScanDeps {
  readonly collection: RxCollection
  readonly shape: DocumentShape
  readonly store: RegisterStore
  readonly sidecar: Sidecar
  readonly queue: SerialQueue
  /** Identity of this store, in its cursors. */
  readonly storeId: string
}

/** Is told how far the room has scanned. */
export interface ScanWatcher extends Pick<UnheardRows, "scanned" | "scannedUpTo"> {
  /** These could not be read for now. The next scan meets them again. */
  unread(keys: readonly string[]): void
}

/** Some storages walk everything newer than the checkpoint for each page: few large pages cost less than many small ones. */
const PAGE = 4000

/**
 * Pages of entries, first from rows, then from records: a document whose row was purged is still a tombstone there. The
 * queue is held throughout, so that no change overtakes a page.
 */
export async function* scanCollection(
  { collection, shape, store, sidecar, queue, storeId }: ScanDeps,
  watcher: ScanWatcher,
  since: Uint8Array | null,
  signal: AbortSignal | undefined,
): AsyncGenerator<ScanPage> {
  const from = since === null ? null : decodeCursor(since, storeId, now())
  if (since !== null && from === null)
    throw new ReplicaError(
      "stale-cursor",
      "The stored index belongs to another store. All documents are read again.",
    )
  let cursor: CollectionCursor = {
    store: storeId,
    rows: withOverlap(from?.rows, from?.scannedAt ?? 0),
    records: withOverlap(from?.records, from?.scannedAt ?? 0),
    scannedAt: now(),
  }
  /** The cursor that the room gets. It stays before the first page that could not be read completely. */
  let told = encodeCursor(cursor)
  let isBehind = false
  const tell = (list: readonly Held[]): ScanPage["entries"] => {
    const unread = list.filter(({ trouble }) => trouble?.of === "moment").map(({ key }) => key)
    watcher.unread(unread)
    isBehind ||= unread.length > 0
    if (!isBehind) told = encodeCursor(cursor)
    return list.map(entryOf)
  }
  const release = await queue.hold()
  try {
    for (;;) {
      signal?.throwIfAborted()
      const page = await collection.database.lockedRun(() =>
        rowsChangedSince(collection.storageInstance.originalStorageInstance, PAGE, cursor.rows),
      )
      const { rows } = page
      const own = rows.map((row) => ({ key: shape.keyOf(row), state: store.ownState(row), row }))
      const others = own.filter((one) => one.state === null).map((one) => one.row)
      const entries: ScanPage["entries"][number][] = own.flatMap(({ key, state }) =>
        state === null ? [] : [{ key, stateHash: stateHash(state) }],
      )
      const held = await store.loadRows(others)
      if (rows.length > 0) cursor = { ...cursor, rows: page.checkpoint }
      for (const entry of tell(held)) entries.push(entry)
      // Records come after all rows: a cursor given out here must not skip them.
      yield { entries, cursor: told }
      watcher.scanned(rows, cursor.scannedAt)
      if (rows.length < PAGE) break
    }
    for (;;) {
      signal?.throwIfAborted()
      const page = await sidecar.changedSince(cursor.records, PAGE)
      const keys = page.ids.flatMap((id) => keyOfRecord(id) ?? [])
      if (page.ids.length > 0) cursor = { ...cursor, records: page.checkpoint }
      yield { entries: tell(await store.load(keys)), cursor: told }
      if (page.ids.length < PAGE) break
    }
    watcher.scannedUpTo(cursor.rows, cursor.scannedAt)
  } finally {
    release()
  }
}

function entryOf({ key, state }: Held): ScanPage["entries"][number] {
  return { key, stateHash: state.context.size === 0 ? null : stateHash(state) }
}
