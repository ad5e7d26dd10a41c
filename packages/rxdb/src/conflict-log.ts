import { millisFromHlc, type RegisterState, sameBytes, shownValue } from "@dunlin/core"
import type { WithDeleted } from "rxdb"
import { type Observable, Subject } from "rxjs"
import type { DocumentData, DocumentShape } from "./document-shape.ts"
import { showsOneContent } from "./same-content.ts"

/** Concurrent writes of one document, and what is shown for them. */
export interface ResolvedConflict<RxDocType = DocumentData> {
  readonly key: string
  /** What the writes merged to. */
  readonly merged: WithDeleted<RxDocType>
  /** The concurrent writes, earliest first; each could be restored by writing it again. */
  readonly writes: readonly ConflictingWrite<RxDocType>[]
  /** When it was merged here, in milliseconds. */
  readonly at: number
}

/** One of the writes that a merge was made of. */
export interface ConflictingWrite<RxDocType = DocumentData> {
  readonly document: WithDeleted<RxDocType>
  /** Milliseconds, by the clock of whoever wrote it. */
  readonly writtenAt: number
  /** Whether the merge shows something else. */
  readonly lost: boolean
}

export interface ConflictLog {
  readonly conflicts$: Observable<ResolvedConflict>
  /** The last conflicts in which a write lost, oldest first. */
  recent(): readonly ResolvedConflict[]
  add(conflict: ResolvedConflict): void
  close(): void
}

/** How many losing writes are kept for an application to offer to restore. */
const MAX_LOST_WRITES = 100

export function createConflictLog(): ConflictLog {
  const conflicts$ = new Subject<ResolvedConflict>()
  let kept: ResolvedConflict[] = []
  let lostWrites = 0
  const lostIn = (conflict: ResolvedConflict): number => conflict.writes.filter((write) => write.lost).length

  return {
    conflicts$: conflicts$.asObservable(),
    recent: () => [...kept],
    add(conflict) {
      const lost = lostIn(conflict)
      if (lost > 0) {
        kept = [...kept, conflict]
        lostWrites += lost
        while (lostWrites > MAX_LOST_WRITES && kept.length > 1) {
          const [oldest, ...rest] = kept
          if (oldest !== undefined) lostWrites -= lostIn(oldest)
          kept = rest
        }
      }
      conflicts$.next(conflict)
    },
    close: () => conflicts$.complete(),
  }
}

/** The conflict that this state resolves; null when there is none, or all wrote the same. */
export function resolvedConflict(
  shape: DocumentShape,
  key: string,
  state: RegisterState,
): ResolvedConflict | null {
  const merged = shownValue(state)
  if (merged === null || state.siblings.length < 2) return null
  // Two devices that restore one backup make no conflict of each document.
  if (showsOneContent(state)) return null
  return {
    key,
    merged: shape.documentOf(key, merged),
    writes: state.siblings.map((sibling) => ({
      document: shape.documentOf(key, sibling),
      writtenAt: millisFromHlc(sibling.dot.hlc),
      lost: !sameBytes(sibling.hash, merged.hash),
    })),
    at: Date.now(),
  }
}
