import { type ReplicaReport, systemRandom } from "@dunlin/core"
import { now } from "rxdb/plugins/core"
import { hexFromBytes } from "./byte-text.ts"
import type { Sidecar } from "./sidecar.ts"
import { parseNote } from "./stored-note.ts"

/** Facts about a collection's store that outlive a session. */
export interface StoreMeta {
  /** Cursors of another store are void. */
  readonly storeId: string
  /** When Dunlin first saw the collection. */
  readonly bornBefore: number
  /** Whether there may be records of documents. */
  readonly holdsRecords: boolean
}

const META_RECORD = "meta"

/** What to store once there is a first record of a document. */
export function metaWithRecords(meta: StoreMeta): readonly [id: string, data: string] {
  return [META_RECORD, JSON.stringify({ ...meta, holdsRecords: true } satisfies StoreMeta)]
}

export async function openMeta(
  sidecar: Pick<Sidecar, "get" | "put">,
  report: (report: ReplicaReport) => void,
): Promise<StoreMeta> {
  const text = (await sidecar.get([META_RECORD])).get(META_RECORD)
  const stored = text === undefined ? null : parseNote(text, isMeta)
  if (stored !== null) return stored
  // In place of a damaged note: with another identity, every document is read anew, and records may be there. A row
  // without a stamp then counts as older than it may be, so that it yields to what others wrote at the same time.
  const meta: StoreMeta = {
    storeId: newStoreId(),
    bornBefore: now(),
    holdsRecords: text !== undefined,
  }
  if (text !== undefined)
    report({
      type: "warning",
      reason: "what was noted beside the rows was damaged and is made anew: all documents are read again",
    })
  await putMeta(sidecar, meta)
  return meta
}

/** The same under another identity: every document is read anew. */
export async function renewMeta(sidecar: Pick<Sidecar, "put">, meta: StoreMeta): Promise<StoreMeta> {
  const renewed: StoreMeta = { ...meta, storeId: newStoreId() }
  await putMeta(sidecar, renewed)
  return renewed
}

function putMeta(sidecar: Pick<Sidecar, "put">, meta: StoreMeta): Promise<void> {
  return sidecar.put(new Map([[META_RECORD, JSON.stringify(meta)]]))
}

function newStoreId(): string {
  return hexFromBytes(systemRandom().bytes(8))
}

function isMeta(value: unknown): value is StoreMeta {
  if (typeof value !== "object" || value === null) return false
  const { storeId, bornBefore, holdsRecords } = value as Readonly<Record<string, unknown>>
  return typeof storeId === "string" && Number.isFinite(bornBefore) && typeof holdsRecords === "boolean"
}
