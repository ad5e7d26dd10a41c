import type { Clock } from "@dunlin/core"
import type { Sidecar } from "./sidecar.ts"

/** Data that came ahead of the document that refers to it. */
export interface ShelvedBlob {
  readonly key: string
  readonly digest: string
  readonly size: number
}

/** Lists what came ahead of its document, so that what never gets one is freed in the end. */
export interface ShelfLedger {
  /** Makes room for a blob, and notes that it is on its way. */
  begin(blob: ShelvedBlob): Promise<void>
  /** The document has come, or the data is gone. */
  forget(blob: ShelvedBlob): Promise<void>
  /** Frees what has waited too long. */
  sweep(): Promise<void>
}

interface LedgerEntry extends ShelvedBlob {
  readonly at: number
}

const LEDGER_RECORD = "shelf"
/** A transfer that was broken off is taken up again within this time, or begins anew. */
export const MAX_SHELF_AGE_MS: number = 7 * 24 * 60 * 60 * 1000
export const MAX_SHELF_BYTES: number = 512 * 1024 * 1024
const MAX_SHELF_BLOBS = 1024

export function createShelfLedger(
  sidecar: Sidecar,
  clock: Clock,
  drop: (key: string, digest: string, size: number) => Promise<void>,
): ShelfLedger {
  let known: readonly LedgerEntry[] | null = null

  const entries = async (): Promise<readonly LedgerEntry[]> => {
    if (known !== null) return known
    const stored = (await sidecar.get([LEDGER_RECORD])).get(LEDGER_RECORD)
    known = stored === undefined ? [] : (JSON.parse(stored) as readonly LedgerEntry[])
    return known
  }

  const put = async (next: readonly LedgerEntry[]): Promise<void> => {
    await sidecar.put(new Map([[LEDGER_RECORD, next.length === 0 ? null : JSON.stringify(next)]]))
    known = next
  }

  /** Drops the oldest until the rest fits, and all that is too old. */
  const trim = async (all: readonly LedgerEntry[]): Promise<readonly LedgerEntry[]> => {
    const oldest = clock.now() - MAX_SHELF_AGE_MS
    const kept: LedgerEntry[] = []
    let bytes = 0
    for (const entry of all.toReversed()) {
      bytes += entry.size
      const fits = kept.length === 0 || (bytes <= MAX_SHELF_BYTES && kept.length < MAX_SHELF_BLOBS)
      if (entry.at >= oldest && fits) kept.push(entry)
      else await drop(entry.key, entry.digest, entry.size)
    }
    return kept.toReversed()
  }

  return {
    async begin(blob) {
      const others = (await entries()).filter((entry) => !isSame(entry, blob))
      await put(await trim([...others, { ...blob, at: clock.now() }]))
    },
    async forget(blob) {
      const all = await entries()
      const kept = all.filter((entry) => !isSame(entry, blob))
      if (kept.length < all.length) await put(kept)
    },
    async sweep() {
      const all = await entries()
      const kept = await trim(all)
      if (kept.length < all.length) await put(kept)
    },
  }
}

function isSame(a: ShelvedBlob, b: ShelvedBlob): boolean {
  return a.key === b.key && a.digest === b.digest && a.size === b.size
}
