import { createState } from "../ports/state.ts"
import { FORBIDDEN_KEYS } from "../protocol/forbidden-keys.ts"
import { MAX_PRESENCE_BYTES } from "../protocol/limits.ts"
import { decodeUtf8, encodeUtf8 } from "../protocol/utf8.ts"
import { type Presence, type PresenceEntry, type PresenceValue, RoomError } from "./room.ts"

export interface PresenceBoard extends Presence {
  /** Takes a session's value from the network; null when the session left or withdrew its value. */
  receive(session: string, device: string | null, value: Uint8Array | null): void
}

const MAX_PEOPLE = 1024

/** `send` passes an encoded value to every peer. */
export function createPresence(send: (value: Uint8Array | null) => void): PresenceBoard {
  let local: PresenceValue | null = null
  const others = createState<ReadonlyMap<string, PresenceEntry>>(new Map())

  const set = (value: PresenceValue | null): void => {
    const encoded = value === null ? null : encode(value)
    local = value
    send(encoded)
  }

  return {
    set,
    setField: (field, value) => set({ ...local, [field]: value }),
    local: () => local,
    others,
    receive(session, device, bytes) {
      const before = others.get()
      const value = bytes === null ? null : decode(bytes)
      if (value === null ? !before.has(session) : before.size >= MAX_PEOPLE && !before.has(session)) return
      const after = new Map(before)
      if (value === null) after.delete(session)
      else after.set(session, { session, device, value })
      others.set(after)
    },
  }
}

function encode(value: PresenceValue): Uint8Array {
  const bytes = encodeUtf8(JSON.stringify(value))
  if (bytes.length <= MAX_PRESENCE_BYTES) return bytes
  throw new RoomError(
    "presence-too-large",
    `A presence value has at most ${MAX_PRESENCE_BYTES} bytes; this one has ${bytes.length}.`,
  )
}

/** Null for anything but a JSON object without keys that lead to a prototype. */
function decode(bytes: Uint8Array): PresenceValue | null {
  if (bytes.length > MAX_PRESENCE_BYTES) return null
  try {
    const value: unknown = JSON.parse(decodeUtf8(bytes))
    return isObject(value) && isHarmless(value) ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is PresenceValue {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isHarmless(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true
  return Object.entries(value).every(([key, inner]) => !FORBIDDEN_KEYS.has(key) && isHarmless(inner))
}
