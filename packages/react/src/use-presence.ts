import type { PresenceEntry, PresenceValue } from "@dunlin/core"
import { useCallback } from "react"
import { useRoom } from "./room-context.ts"
import { useStateValue } from "./use-state-value.ts"

/** What `usePresence` gives. */
export interface PresenceHandle {
  /** By session id. Every field comes from a stranger: validate before use. */
  readonly others: ReadonlyMap<string, PresenceEntry>
  /** Replaces this session's value; null takes it back. Does nothing before the room is open. */
  readonly set: (value: PresenceValue | null) => void
  /** Changes one field of this session's value. Does nothing before the room is open. */
  readonly setField: (field: string, value: unknown) => void
}

const NOBODY: ReadonlyMap<string, PresenceEntry> = new Map()

/** What the other sessions show of themselves, and setters for one's own. The setters keep their identity. */
export function usePresence(): PresenceHandle {
  const room = useRoom()
  const others = useStateValue(room?.presence.others ?? null, NOBODY)
  const set = useCallback((value: PresenceValue | null) => room?.presence.set(value), [room])
  const setField = useCallback(
    (field: string, value: unknown) => room?.presence.setField(field, value),
    [room],
  )
  return { others, set, setField }
}
