import type { Clock } from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { now } from "rxdb/plugins/core"
import { rowsChangedSince } from "./changed-rows.ts"
import { OVERLAP_MS, withOverlap } from "./collection-cursor.ts"
import { sharesStorage } from "./collection-lock.ts"
import type { DocumentShape, Row } from "./document-shape.ts"

/**
 * Rows that another tab stored and no event announced: RxDB tells other tabs after the write, and a tab may be closed
 * or crash in between. Every few seconds, a look reads what is newer than the last look.
 */
export interface UnheardRows {
  /** Resolves when everything stored before the call has been given to `found`. */
  look(): Promise<void>
  /** The events whose rows no look has found already. */
  unknownOf<Event extends RowEvent>(events: readonly Event[]): readonly Event[]
  /** Rows that a scan gave and that the room took. */
  scanned(rows: readonly Row[], scannedAt: number): void
  /** A scan that began at `scannedAt` has ended at this checkpoint. */
  scannedUpTo(checkpoint: unknown, scannedAt: number): void
  /** Resolves when nothing is read any more. */
  stop(): Promise<void>
}

interface RowEvent {
  readonly documentData: Row
}

export interface UnheardRowsOptions {
  readonly collection: RxCollection
  readonly shape: DocumentShape
  readonly clock: Clock
  readonly found: (rows: readonly Row[]) => void
  /** The storage could not be read; it is tried again. */
  readonly failed: (cause: unknown) => void
}

const LOOK_MS = 5_000
/** The pause after a look is at least this many times as long as the look. */
const LOOK_SHARE = 20
/** More rows are not read again in a first sync: the room does so, in a pause, for its index; looks go on there. */
const MANY_ROWS = 4_000
const LONGEST_WAIT_MS = 60_000
const PAGE = 1_000

const NOTHING_UNHEARD: UnheardRows = {
  look: () => Promise.resolve(),
  unknownOf: (events) => events,
  scanned() {},
  scannedUpTo() {},
  stop: () => Promise.resolve(),
}

export function watchUnheardRows(options: UnheardRowsOptions): UnheardRows {
  const { collection, shape, clock, found, failed } = options
  if (!sharesStorage(collection)) return NOTHING_UNHEARD
  const tokenSuffix = `-${collection.database.token}`
  /** Up to here everything is known; null until the room has scanned all. */
  let position: { readonly checkpoint: unknown; readonly scannedAt: number } | null = null
  /** Rows of other tabs so new that the next look reads them again. */
  const knownByKey = new Map<string, Pick<Row, "_rev" | "_meta">>()
  let rowsSince = 0
  let rowsAtTick = 0
  let waitedMs = 0
  let stopped = false
  let running: Promise<void> = Promise.resolve()
  let next: Promise<void> | null = null

  /** Notes a row; false if it was known. Rows of this tab need no note: their events never go missing. */
  const learn = (row: Row): boolean => {
    const { _rev, _meta } = row
    if (_rev.endsWith(tokenSuffix)) return true
    const key = shape.keyOf(row)
    if (knownByKey.get(key)?._rev === _rev) return false
    knownByKey.set(key, { _rev, _meta })
    return true
  }

  const isOverlapping = ({ _meta }: Pick<Row, "_meta">, scannedAt: number): boolean =>
    _meta.lwt >= scannedAt - OVERLAP_MS

  const scannedUpTo = (checkpoint: unknown, scannedAt: number): void => {
    position = { checkpoint, scannedAt }
    rowsSince = 0
    waitedMs = 0
    for (const [key, row] of knownByKey) if (!isOverlapping(row, scannedAt)) knownByKey.delete(key)
  }

  const search = async (): Promise<void> => {
    if (position === null || stopped) return
    const scannedAt = now()
    let checkpoint = withOverlap(position.checkpoint, position.scannedAt)
    for (let more = true; more && !stopped;) {
      const since = checkpoint
      const page = await collection.database.lockedRun(() =>
        rowsChangedSince(collection.storageInstance.originalStorageInstance, PAGE, since),
      )
      const unheard = page.rows.filter((row) => !row._rev.endsWith(tokenSuffix) && learn(row))
      if (stopped) return
      if (unheard.length > 0) found(unheard)
      if (page.rows.length > 0) checkpoint = page.checkpoint
      more = page.rows.length === PAGE
    }
    scannedUpTo(checkpoint, scannedAt)
  }

  /** A running search may have read past what is new: all who ask meanwhile share the one after it. */
  const look = (): Promise<void> => {
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = null
        // One failed read is no reason for `synced()` to reject: most often there is nothing to find.
        running = search().catch(search)
        return running
      })
    return next
  }

  const tick = async (): Promise<void> => {
    const pauses = rowsSince === rowsAtTick
    rowsAtTick = rowsSince
    waitedMs += LOOK_MS
    const startedAt = clock.monotonic()
    if (rowsSince <= MANY_ROWS || pauses || waitedMs >= LONGEST_WAIT_MS)
      await look().catch((cause: unknown) => {
        if (!stopped) failed(cause)
      })
    // Rows dated by a clock that was ahead are read at every look until their time comes: other work needs time too.
    const restMs = Math.max(LOOK_MS, LOOK_SHARE * (clock.monotonic() - startedAt))
    if (!stopped) cancelTick = clock.after(restMs, () => void tick())
  }
  let cancelTick = clock.after(LOOK_MS, () => void tick())

  return {
    look,
    unknownOf(events) {
      rowsSince += events.length
      return events.filter(({ documentData }) => learn(documentData))
    },
    scanned(rows, scannedAt) {
      for (const row of rows) if (isOverlapping(row, scannedAt)) learn(row)
    },
    scannedUpTo,
    async stop() {
      stopped = true
      cancelTick()
      await (next ?? running).catch(() => undefined)
    },
  }
}
