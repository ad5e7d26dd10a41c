/** How far a scan of rows and records has come: stored beside the room's index. */
export interface CollectionCursor {
  /** Identity of the sidecar; another one means another store. */
  readonly store: string
  readonly rows: unknown
  readonly records: unknown
  /** When the scan began: what was written well before that has been seen. */
  readonly scannedAt: number
}

/** RxDB takes a write's time before it commits, so a later commit may carry an earlier time than the cursor. */
export const OVERLAP_MS = 5_000

export function encodeCursor(cursor: CollectionCursor): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(cursor))
}

/** Null for a cursor that this store did not make, or from before the clock was set back. */
export function decodeCursor(bytes: Uint8Array, store: string, now: number): CollectionCursor | null {
  try {
    const cursor = JSON.parse(new TextDecoder().decode(bytes)) as CollectionCursor
    if (cursor.store !== store || typeof cursor.scannedAt !== "number") return null
    if (clockOf(cursor.rows) > now + OVERLAP_MS || clockOf(cursor.records) > now + OVERLAP_MS) return null
    return cursor
  } catch {
    return null
  }
}

/**
 * The checkpoint to continue from: an earlier one if writes with its time may have been committed after the scan;
 * unchanged for storages whose checkpoints hold no time.
 */
export function withOverlap(checkpoint: unknown, scannedAt: number): unknown {
  const settled = scannedAt - OVERLAP_MS
  const lwt = clockOf(checkpoint)
  if (lwt === 0 || lwt <= settled) return checkpoint
  return { ...(checkpoint as object), id: "", lwt: Math.max(0, settled) }
}

function clockOf(checkpoint: unknown): number {
  if (typeof checkpoint !== "object" || checkpoint === null) return 0
  const { lwt } = checkpoint as { readonly lwt?: unknown }
  return typeof lwt === "number" ? lwt : 0
}
