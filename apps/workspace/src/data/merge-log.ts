import { createState, type State } from "@dunlin/core"
import type { ResolvedConflict } from "@dunlin/rxdb"
import { deepEqual, type RxConflictHandler } from "rxdb/plugins/core"
import { authorId } from "../device/profile.ts"
import type { ConflictHandlers, WorkspaceDatabase } from "./database.ts"
import {
  findClashes,
  mergeRows,
  type DeletionRule,
  type FieldClash,
  type FieldEdit,
  type FieldGroups,
  type MergeableRow,
} from "./merge-fields.ts"
import { DOCUMENT_GROUPS, TASK_GROUPS, type MergeRow } from "./schemas.ts"

/**
 * Merges that concern this device: for each field the value that was kept, the one that was lost, and whose they were.
 */
export interface MergeLog {
  readonly handlers: ConflictHandlers
  /** Newest first. */
  readonly merges: State<readonly Merge[]>
  /**
   * Reports concurrent writes, wherever they were merged: the handler runs on the device where the two first meet.
   * Recorded only if this device wrote one of the versions.
   */
  resolved(kind: MergeKind, conflict: ResolvedConflict<object>): void
  /** Reports a write that replaced what somebody else had written meanwhile. */
  overwritten(kind: MergeKind, clash: FieldClash): void
  attach(database: WorkspaceDatabase): void
  markSeen(): Promise<void>
  /** Forgets the merges of something that was deleted for ever: they contain its title, and what was lost in it. */
  forget(target: string): Promise<void>
  close(): void
}

export type Merge = Readonly<MergeRow>
export type MergeKind = "document" | "task"

const KEPT = 200

interface MergeRules {
  readonly groups: FieldGroups
  readonly deletion: DeletionRule
}

const RULES: Readonly<Record<MergeKind, MergeRules>> = {
  // The deletion of its text beats every edit, so a row that came back would have none.
  document: { groups: DOCUMENT_GROUPS, deletion: "wins" },
  task: { groups: TASK_GROUPS, deletion: "yields" },
}

export function createMergeLog(): MergeLog {
  const merges = createState<readonly Merge[]>([])
  const waiting: MergeRow[] = []
  let database: WorkspaceDatabase | null = null
  let end: (() => void) | null = null

  function record(kind: MergeKind, clash: FieldClash): void {
    waiting.push(rowOf(kind, clash))
    if (waiting.length === 1) queueMicrotask(() => void flush())
  }

  async function flush(): Promise<void> {
    if (database === null) return
    // The same versions may meet again, even in another tab: their id makes them the same row.
    const rows = [...new Map(waiting.splice(0).map((row) => [row.id, row])).values()]
    await database.merges.bulkInsert(rows).catch(() => undefined)
  }

  return {
    handlers: { documents: handlerFor(RULES.document), tasks: handlerFor(RULES.task) },
    merges,
    resolved(kind, { writes }) {
      const rows = writes.map(({ document }) => document as unknown as MergeableRow)
      // Otherwise someone just invited would get the conflicts of everyone who was here before.
      if (!rows.some((row) => wroteOn(row))) return
      for (const clash of clashesAmong(rows, RULES[kind])) record(kind, clash)
    },
    overwritten: record,
    attach(opened) {
      database = opened
      const subscription = opened.merges.find().$.subscribe((rows) => {
        const newestFirst = rows.map((row) => row.toJSON()).sort((a, b) => b.at - a.at)
        merges.set(newestFirst.slice(0, KEPT))
        const old = newestFirst.slice(KEPT).map(({ id }) => id)
        if (old.length > 0) void opened.merges.bulkRemove(old).catch(() => undefined)
      })
      end = () => subscription.unsubscribe()
      void flush()
    },
    async markSeen() {
      const unseen = merges.get().filter((merge) => !merge.seen)
      await database?.merges.bulkUpsert(unseen.map((merge) => ({ ...merge, seen: true })))
    },
    async forget(target) {
      const rows = await database?.merges.find({ selector: { target } }).exec()
      await database?.merges.bulkRemove((rows ?? []).map(({ id }) => id))
    },
    close() {
      end?.()
      database = null
    },
  }
}

/** Deletions have no edits, and a peer may have written anything. */
function wroteOn({ edits }: Partial<MergeableRow>): boolean {
  return Object.values(edits ?? {}).some((edit: Partial<FieldEdit> | null) => edit?.by === authorId)
}

/** Merges the rows one by one, as the handler does. */
function clashesAmong(
  [first, ...rows]: readonly MergeableRow[],
  { groups, deletion }: MergeRules,
): readonly FieldClash[] {
  const clashes: FieldClash[] = []
  let merged = first
  for (const row of rows) {
    if (merged === undefined) break
    clashes.push(...findClashes(merged, row, groups))
    merged = mergeRows(merged, row, groups, deletion)
  }
  return merged?._deleted === true ? [] : clashes
}

function handlerFor<Row extends MergeableRow>({ groups, deletion }: MergeRules): RxConflictHandler<Row> {
  return {
    isEqual: (a, b) => deepEqual(a, b),
    resolve: async ({ realMasterState, newDocumentState }) =>
      mergeRows<Row>(realMasterState, newDocumentState, groups, deletion) as typeof realMasterState,
  }
}

function rowOf(kind: MergeKind, clash: FieldClash): MergeRow {
  const { target, title, field, kept, keptBy, lost, lostBy } = clash
  const id = `${target}.${field}.${hash(`${kept}\u0000${lost}`)}`.slice(0, 100)
  return { id, kind, target, title, field, kept, keptBy, lost, lostBy, at: Date.now(), seen: false }
}

/** FNV-1a: names a pair of values, and protects nothing. */
function hash(text: string): string {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  return (value >>> 0).toString(36)
}
