import type { SidecarNote } from "./register-store.ts"
import type { Sidecar } from "./sidecar.ts"
import { keyOfRecord } from "./sidecar-record.ts"
import { isListOf, isText, parseNote } from "./stored-note.ts"

/**
 * Keys whose records are stored but whose rows may not be, after a crash or a write that the storage refused. Neither
 * states nor digests reveal them, so they have to be shown anew.
 */
export interface RowJournal {
  /** Reads what an earlier session left. */
  open(): Promise<void>
  readonly owed: ReadonlySet<string>
  /** Adds these keys. Returns what to store together with their records. */
  owe(keys: readonly string[]): SidecarNote
  /** These are shown, or refused for good. Returns what to store then; undefined when none of them was owed. */
  settle(keys: readonly string[]): SidecarNote | undefined
}

const JOURNAL_RECORD = "journal"

export function createRowJournal(sidecar: Sidecar): RowJournal {
  const owed = new Set<string>()
  const note = (): SidecarNote => [JOURNAL_RECORD, owed.size === 0 ? null : JSON.stringify([...owed])]
  return {
    async open() {
      const stored = (await sidecar.get([JOURNAL_RECORD])).get(JOURNAL_RECORD)
      if (stored === undefined) return
      // Damaged, it names no rows: any that has a record may be owed.
      for (const key of parseNote(stored, isListOf(isText)) ?? (await keysOfRecords(sidecar))) owed.add(key)
    },
    owed,
    owe(keys) {
      for (const key of keys) owed.add(key)
      return note()
    },
    settle(keys) {
      if (owed.size === 0) return undefined
      const before = owed.size
      for (const key of keys) owed.delete(key)
      return owed.size < before ? note() : undefined
    },
  }
}

const PAGE = 1_000

async function keysOfRecords(sidecar: Sidecar): Promise<readonly string[]> {
  const keys: string[] = []
  let page = await sidecar.changedSince(null, PAGE)
  while (page.ids.length > 0) {
    for (const id of page.ids) keys.push(...[keyOfRecord(id)].filter((key) => key !== null))
    page = await sidecar.changedSince(page.checkpoint, PAGE)
  }
  return keys
}
