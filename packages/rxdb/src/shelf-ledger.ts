import type { Clock } from "@dunlin/core"
import type { Sidecar } from "./sidecar.ts"
import { isListOf, isText, parseNote } from "./stored-note.ts"

/** Data that came ahead of the document that refers to it. */
export interface ShelvedBlob {
  readonly key: string
  readonly digest: string
  readonly size: number
}

/** Lists data that came ahead of its document, to keep it within bounds and to free it if the document never comes. */
export interface ShelfLedger {
  /** Notes that a blob is on its way. */
  begin(blob: ShelvedBlob): Promise<void>
  /** Counts received bytes. Makes room for them by dropping the blobs that began first. */
  grew(blob: ShelvedBlob, bytes: number): Promise<void>
  /** Removes a blob from the list: its document has come, or its data is gone. */
  forget(blob: ShelvedBlob): Promise<void>
  /** Frees what waited too long, and what was in its row but still on the shelf when the process ended. */
  sweep(): Promise<void>
}

export interface ShelfContents {
  /** Bytes of the blob that are here. */
  held(blob: ShelvedBlob): Promise<number>
  /** Whether the document's row has it. */
  isInRow(blob: ShelvedBlob): Promise<boolean>
  drop(key: string, digest: string, size: number): Promise<void>
}

interface LedgerEntry extends ShelvedBlob {
  readonly at: number
  /** Bytes that are here: a length that is only claimed takes no room from others. */
  bytes: number
}

const LEDGER_RECORD = "shelf"
/** An interrupted transfer is resumed within this time, or begins anew. */
export const MAX_SHELF_AGE_MS: number = 7 * 24 * 60 * 60 * 1000
/** All attachments of one document fit. */
export const MAX_SHELF_BYTES: number = 512 * 1024 * 1024
export const MAX_SHELF_BLOBS = 2048

export function createShelfLedger(
  sidecar: Pick<Sidecar, "get" | "put">,
  clock: Clock,
  contents: ShelfContents,
): ShelfLedger {
  let known: LedgerEntry[] | null = null

  const entries = async (): Promise<LedgerEntry[]> => {
    if (known !== null) return known
    const stored = (await sidecar.get([LEDGER_RECORD])).get(LEDGER_RECORD)
    const listed = (stored === undefined ? null : parseNote(stored, isListOf(isListed))) ?? []
    known = []
    for (const one of listed) known.push({ ...one, bytes: await contents.held(one) })
    return known
  }

  const put = async (next: LedgerEntry[]): Promise<void> => {
    const listed = next.map(({ key, digest, size, at }) => ({ key, digest, size, at }))
    await sidecar.put(new Map([[LEDGER_RECORD, next.length === 0 ? null : JSON.stringify(listed)]]))
    known = next
  }

  /** Drops the oldest until the rest fits, and all that is too old. */
  const trim = async (all: readonly LedgerEntry[]): Promise<LedgerEntry[]> => {
    const oldest = clock.now() - MAX_SHELF_AGE_MS
    const kept: LedgerEntry[] = []
    let bytes = 0
    for (const entry of all.toReversed()) {
      bytes += entry.bytes
      const fits = kept.length === 0 || (bytes <= MAX_SHELF_BYTES && kept.length < MAX_SHELF_BLOBS)
      if (entry.at >= oldest && fits) kept.push(entry)
      else await contents.drop(entry.key, entry.digest, entry.size)
    }
    return kept.toReversed()
  }

  return {
    async begin(blob) {
      const others = (await entries()).filter((entry) => !isSame(entry, blob))
      await put(await trim([...others, { ...blob, at: clock.now(), bytes: 0 }]))
    },
    async grew(blob, bytes) {
      const all = await entries()
      const entry = all.find((one) => isSame(one, blob))
      if (entry === undefined) return
      entry.bytes += bytes
      if (all.reduce((sum, one) => sum + one.bytes, 0) > MAX_SHELF_BYTES) await put(await trim(all))
    },
    async forget(blob) {
      const all = await entries()
      const kept = all.filter((entry) => !isSame(entry, blob))
      if (kept.length < all.length) await put(kept)
    },
    async sweep() {
      const all = await entries()
      const waiting: LedgerEntry[] = []
      for (const entry of all)
        if (await contents.isInRow(entry)) await contents.drop(entry.key, entry.digest, entry.size)
        else waiting.push(entry)
      const kept = await trim(waiting)
      if (kept.length < all.length) await put(kept)
    },
  }
}

function isListed(value: unknown): value is Omit<LedgerEntry, "bytes"> {
  if (typeof value !== "object" || value === null) return false
  const { key, digest, size, at } = value as Readonly<Record<string, unknown>>
  return isText(key) && isText(digest) && Number.isFinite(size) && Number.isFinite(at)
}

function isSame(a: ShelvedBlob, b: ShelvedBlob): boolean {
  return a.key === b.key && a.digest === b.digest && a.size === b.size
}
