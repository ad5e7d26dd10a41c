import type { Presence, PresenceEntry } from "@dunlin/core"
import { Cursor, type LoroDoc, type LoroText } from "loro-crdt"

import { LoroReplicaError } from "../loro-replica-error.ts"
import type { TextSource } from "./text-source.ts"

/** The presence field that holds this session's cursor. */
export const CURSOR_FIELD = "cursor"

/** Where a binding publishes its caret and selection. */
export interface PresenceCursorSink {
  /** Positions in UTF-16 units: `head` is where the caret is, `anchor` the other end of the selection. */
  set(source: TextSource, anchor: number, head: number): void
  /** Takes the cursor back, as when the editor loses the focus. */
  clear(): void
}

/** Another person's cursor in a text, in UTF-16 positions of the current text. */
export interface RemoteCursor {
  /** Session id of its owner. */
  readonly session: string
  /** As the peer says it: a label of at most 40 characters, not an identity. */
  readonly name: string
  /** `#rrggbb`: the peer's, or one made from its session. */
  readonly color: string
  /** Where the selection began; equal to `head` if nothing is selected. */
  readonly anchor: number
  /** Where the caret is. */
  readonly head: number
}

const MAX_NAME_CHARACTERS = 40
const MAX_ENCODED_CHARACTERS = 256
const COLOR = /^#[0-9a-f]{6}$/i

/**
 * Keeps this session's cursor in the room's presence. It is made of Loro's own positions, which stay at their place in
 * the text while others edit it. Names and colours are the presence fields `name` and `color`.
 */
export function presenceCursor(presence: Presence): PresenceCursorSink {
  let last = ""
  const sink: PresenceCursorSink = {
    set(source, anchor, head) {
      const text = textIfOpen(source)
      if (text === null) return sink.clear()
      const [from, to] = [encodePosition(text, anchor), encodePosition(text, head)]
      // A caret that only moves along with its text counts as unmoved: typing sends no presence.
      const key = `${source.documentId} ${text.id} ${from.place} ${to.place}`
      if (key === last) return
      last = key
      presence.setField(CURSOR_FIELD, {
        document: source.documentId,
        text: text.id,
        anchor: from.encoded,
        // Most cursors select nothing.
        ...(from.place !== to.place && { head: to.encoded }),
      })
    },
    clear() {
      if (last === "") return
      last = ""
      presence.setField(CURSOR_FIELD, null)
    },
  }
  return sink
}

/** The cursors of the others in this text, without invalid fields of peers. */
export function readRemoteCursors(
  source: TextSource,
  others: ReadonlyMap<string, PresenceEntry>,
): readonly RemoteCursor[] {
  const text = textIfOpen(source)
  if (text === null) return []
  const doc = source.doc()
  const target = text.id
  const cursors: RemoteCursor[] = []
  for (const { session, value } of others.values()) {
    const field = value[CURSOR_FIELD]
    if (!isRecord(field) || field["document"] !== source.documentId || field["text"] !== target) continue
    const anchor = decodePosition(doc, target, field["anchor"])
    const head = "head" in field ? decodePosition(doc, target, field["head"]) : anchor
    if (anchor === null || head === null) continue
    cursors.push({
      session,
      name: labelOf(value["name"]),
      color: colorOf(value["color"], session),
      anchor,
      head,
    })
  }
  return cursors
}

/** Null for a text of a closed document: an editor may outlive it, and is still told of presence. */
function textIfOpen(source: TextSource): LoroText | null {
  try {
    return source.text()
  } catch (error) {
    if (error instanceof LoroReplicaError && error.code === "closed") return null
    throw error
  }
}

/** A position as others read it, and the character at which it stands: Loro's encoding also holds the current offset. */
function encodePosition(text: LoroText, at: number): { readonly encoded: string; readonly place: string } {
  const cursor = text.getCursor(Math.max(0, Math.min(at, text.length)))
  if (cursor === undefined) return { encoded: "", place: "" }
  try {
    const id = cursor.pos()
    return {
      encoded: btoa(String.fromCharCode(...cursor.encode())),
      place: id === undefined ? `end ${cursor.side()}` : `${id.counter}@${id.peer} ${cursor.side()}`,
    }
  } finally {
    cursor.free()
  }
}

/** Null for a cursor that does not lie in this text. An empty string stands for the beginning. */
function decodePosition(doc: LoroDoc, target: string, encoded: unknown): number | null {
  if (encoded === "") return 0
  if (typeof encoded !== "string" || encoded.length > MAX_ENCODED_CHARACTERS) return null
  try {
    const cursor = Cursor.decode(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)))
    try {
      if (cursor.containerId() !== target) return null
      return doc.getCursorPos(cursor)?.offset ?? null
    } finally {
      cursor.free()
    }
  } catch {
    // From a stranger: not base64, not a cursor, or a cursor at operations that are not here yet.
    return null
  }
}

function labelOf(name: unknown): string {
  return typeof name === "string"
    ? Array.from(name.slice(0, 4 * MAX_NAME_CHARACTERS))
        .slice(0, MAX_NAME_CHARACTERS)
        .join("")
    : ""
}

function colorOf(color: unknown, session: string): string {
  if (typeof color === "string" && COLOR.test(color)) return color
  const hue = Number.parseInt(session.slice(0, 4), 16) % 360 || 0
  return hueToHex(hue)
}

/** A colour of middle lightness, on which white text is readable. */
function hueToHex(hue: number): string {
  const channel = (offset: number): string => {
    const k = (offset + hue / 30) % 12
    const level = 0.42 - 0.25 * Math.max(-1, Math.min(k - 3, 9 - k, 1))
    return Math.round(level * 255)
      .toString(16)
      .padStart(2, "0")
  }
  return `#${channel(0)}${channel(8)}${channel(4)}`
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
