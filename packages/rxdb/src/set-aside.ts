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

/** The list is stored in parts, and a change of one document costs a part. */
const PARTS = 256
const ALL_PARTS: readonly string[] = Array.from({ length: PARTS }, (_, index) => `aside-${index}`)
/** In each part. A modifier may refuse every document of a large collection. */
const MAX_STORED = 1_000
const MAX_REASON_LENGTH = 300

/** `freed` hears of documents that were listed and can be shared now, since whoever read them may not report them. */
export function createSetAside(
  sidecar: Pick<Sidecar, "get" | "put">,
  reasons: MutableState<Reasons>,
  freed: (keys: readonly string[]) => void = () => {},
): SetAside {
  const storedByPart = new Map<string, string>()
  /** The same as `reasons`, part by part: to look for the documents of a part in all of them would cost more than to store it. */
  const listedByPart = new Map<string, Map<string, string>>()
  /** Parts that may differ from what is stored. */
  const owed = new Set<string>()

  const listedIn = (part: string): Map<string, string> => {
    const listed = listedByPart.get(part) ?? new Map<string, string>()
    listedByPart.set(part, listed)
    return listed
  }

  const storeOwed = async (): Promise<void> => {
    const parts = [...owed]
    const changed = new Map<string, string | null>()
    for (const part of parts) {
      const text = textOf(listedIn(part))
      if (text !== (storedByPart.get(part) ?? null)) changed.set(part, text)
    }
    owed.clear()
    if (changed.size === 0) return
    try {
      await sidecar.put(changed)
    } catch (error) {
      for (const part of parts) owed.add(part)
      throw error
    }
    for (const [part, text] of changed) {
      if (text === null) storedByPart.delete(part)
      else storedByPart.set(part, text)
    }
  }

  return {
    async open(readAllAgain) {
      const known = new Map<string, string>()
      for (const [part, text] of await sidecar.get(ALL_PARTS)) {
        storedByPart.set(part, text)
        const list = parseNote(text, isStoredList)
        for (const [key, reason] of list?.listed ?? []) {
          known.set(key, reason)
          listedIn(part).set(key, reason)
        }
        if (list?.isWhole !== true) owed.add(part)
      }
      if (storedByPart.size > 0) reasons.set(known)
      if (owed.size === 0) return
      await readAllAgain()
      // Whatever the scan finds is noted anew. Left as it is, this would make every start read everything.
      await storeOwed()
    },
    async note(read) {
      const known = reasons.get()
      const changed = read.filter(({ key, trouble }) => known.get(key) !== reasonOf(trouble))
      if (changed.length === 0 && owed.size === 0) return
      const next = new Map(known)
      for (const { key, trouble } of changed) {
        const part = partOf(key)
        owed.add(part)
        const reason = reasonOf(trouble)
        for (const list of [next, listedIn(part)])
          if (reason === undefined) list.delete(key)
          else list.set(key, reason)
      }
      if (changed.length > 0) reasons.set(next)
      // Before anything else can find that they are no longer listed.
      const free = changed.filter(({ key, trouble }) => trouble === undefined && known.has(key))
      if (free.length > 0) freed(free.map(({ key }) => key))
      // No reason to fail a read: the next read tries again.
      await storeOwed().catch(() => undefined)
    },
  }
}

/** The record of the sidecar that lists a document if it is set aside. */
export function partOf(key: string): string {
  let sum = 0
  for (let at = 0; at < key.length; at++) sum = (Math.imul(sum, 31) + key.charCodeAt(at)) >>> 0
  return `aside-${sum % PARTS}`
}

function textOf(listed: ReadonlyMap<string, string>): string | null {
  const list: StoredList = {
    listed: [...listed].slice(0, MAX_STORED),
    isWhole: listed.size <= MAX_STORED,
  }
  return listed.size === 0 ? null : JSON.stringify(list)
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
