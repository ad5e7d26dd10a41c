import type { ReconcileReport } from "./reconcile-runner.ts"

/** The last reconciliation of a replica on a link, and its results. A responder keeps one record for all requests that it answers. */
export interface RunRecord {
  readonly startedAt: number
  /** The roots of both sides when it began; null where none has begun. */
  readonly roots: { readonly own: Uint8Array; readonly theirs: Uint8Array } | null
  /** Entries that were exchanged since. */
  sent: number
  received: number
  /** Something that it found was put off, or asked of another peer who may know less of it. */
  delegated: boolean
  /** Something that it found could not be exchanged: the peer may lack what is here of it. */
  failed: boolean
  /** What comparing took; null until it has ended, and again once it is reported. */
  ended: Pick<ReconcileReport, "rounds" | "bytes"> | null
}

export function createRunRecord(startedAt: number, roots: RunRecord["roots"]): RunRecord {
  return { startedAt, roots, sent: 0, received: 0, delegated: false, failed: false, ended: null }
}
