import { type MutableState, RoomError } from "@dunlin/core"
import type { Held, Trouble } from "./register-store.ts"
import type { Sidecar } from "./sidecar.ts"
import { isListOf, isText, parseNote } from "./stored-note.ts"

/** Why documents of this device are on no other one, by primary key, in words. */
export type Reasons = ReadonlyMap<string, string>

/**
 * Documents of this device that cannot be shared as they are. No later scan meets them again, so the list is stored:
 * the next start knows them, and tries them again, perhaps with a newer version of the application.
 */
export interface SetAside {
  /** Reads what an earlier session left. Where that does not tell all, calls `readAllAgain`: only a scan then finds them. */
  open(readAllAgain: () => Promise<void>): Promise<void>
  /** Takes in documents as they were just read: those without trouble can be shared, or are gone. */
  note(read: readonly Pick<Held, "key" | "trouble">[]): Promise<void>
}

interface StoredList {
  readonly listed: readonly (readonly [key: string, reason: string])[]
  /** Whether there were no more. */
  readonly isWhole: boolean
}

const ASIDE_RECORD = "aside"
/** A modifier may refuse every document of a large collection, and the list is stored as a whole. */
const MAX_STORED = 1_000
const MAX_REASON_LENGTH = 300

export function createSetAside(
  sidecar: Pick<Sidecar, "get" | "put">,
  reasons: MutableState<Reasons>,
): SetAside {
  let stored = ""
  /** The last list could not be stored. */
  let isOwed = false

  const store = async (): Promise<void> => {
    const all = [...reasons.get()]
    const list: StoredList = { listed: all.slice(0, MAX_STORED), isWhole: all.length <= MAX_STORED }
    const text = all.length === 0 ? "" : JSON.stringify(list)
    isOwed = text !== stored
    if (!isOwed) return
    await sidecar.put(new Map([[ASIDE_RECORD, text === "" ? null : text]]))
    isOwed = false
    stored = text
  }

  return {
    async open(readAllAgain) {
      const text = (await sidecar.get([ASIDE_RECORD])).get(ASIDE_RECORD)
      if (text === undefined) return
      stored = text
      const list = parseNote(text, isStoredList)
      reasons.set(new Map(list?.listed ?? []))
      if (list?.isWhole === true) return
      await readAllAgain()
      // Whatever the scan finds is noted anew. Left as it is, this would make every start read everything.
      await store()
    },
    async note(read) {
      const known = reasons.get()
      const changed = read.filter(({ key, trouble }) => known.get(key) !== reasonOf(trouble))
      if (changed.length === 0 && !isOwed) return
      const next = new Map(known)
      for (const { key, trouble } of changed) {
        const reason = reasonOf(trouble)
        if (reason === undefined) next.delete(key)
        else next.set(key, reason)
      }
      if (changed.length > 0) reasons.set(next)
      // No reason to fail a read: the next read tries again.
      await store().catch(() => undefined)
    },
  }
}

/** Throws if one of these is set aside; without keys, if anything is. It is on no other device, however long one waits. */
export function assertShared(setAside: Reasons, keys: readonly string[] | undefined): void {
  const missing = keys === undefined ? [...setAside.keys()] : keys.filter((key) => setAside.has(key))
  const [first] = missing
  if (first === undefined) return
  const others = missing.length === 1 ? "" : `, and ${missing.length - 1} more`
  throw new RoomError(
    "refused",
    `Documents of this device cannot be shared as they are: "${first}" (${setAside.get(first)})${others}. "setAside" of the handle lists them; the others are held.`,
  )
}

function reasonOf(trouble: Trouble | undefined): string | undefined {
  return trouble?.reason.slice(0, MAX_REASON_LENGTH)
}

function isStoredList(value: unknown): value is StoredList {
  if (typeof value !== "object" || value === null) return false
  const { listed, isWhole } = value as Readonly<Record<string, unknown>>
  return typeof isWhole === "boolean" && isListOf(isEntry)(listed)
}

function isEntry(value: unknown): value is readonly [key: string, reason: string] {
  return Array.isArray(value) && value.length === 2 && isText(value[0]) && isText(value[1])
}
