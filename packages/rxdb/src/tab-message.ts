/**
 * Messages between the tabs that share a collection in one room: those that stand by ask the one that replicates. Other
 * code of the origin may use the same channel.
 */
export type TabMessage =
  /** Repeated every few seconds until it is answered. */
  | { readonly type: "ask"; readonly id: string; readonly question: SyncedQuestion }
  /** Nobody waits for the answer any more. */
  | { readonly type: "drop"; readonly id: string }
  /** The tab that replicates has received the question. */
  | { readonly type: "heard"; readonly id: string }
  | { readonly type: "answer"; readonly id: string; readonly outcome: SyncedOutcome }
  /** The sender replicates from now on: open questions are asked again. */
  | { readonly type: "here" }

/** The options of `synced()`, as they travel between tabs. */
export interface SyncedQuestion {
  /** Without it, all. It is left out if the keys do not fit in a message. */
  readonly keys?: readonly string[]
  readonly peers?: number
  readonly session?: string
  /** It was asked with a signal: it keeps waiting, however long too few devices are connected. */
  readonly isPatient: boolean
}

/** What became of a `synced()`. */
export type SyncedOutcome =
  | { readonly type: "held" }
  | { readonly type: "no-peers" | "refused" | "failed"; readonly message: string }

export const MAX_ASKED_KEYS = 1_000
const MAX_ID_LENGTH = 64
const MAX_KEY_LENGTH = 4_096
const MAX_MESSAGE_LENGTH = 500

/** Null for what is no message of another tab. */
export function parseTabMessage(data: unknown): TabMessage | null {
  const { type, id, question, outcome } = fieldsOf(data)
  if (type === "here") return { type }
  if (!isText(id, MAX_ID_LENGTH)) return null
  if (type === "drop" || type === "heard") return { type, id }
  if (type === "ask") {
    const parsed = parseQuestion(question)
    return parsed === null ? null : { type, id, question: parsed }
  }
  if (type !== "answer") return null
  const parsed = parseOutcome(outcome)
  return parsed === null ? null : { type, id, outcome: parsed }
}

/** The text of a failure, cut to what a message has room for. */
export function cutMessage(message: string): string {
  return message.slice(0, MAX_MESSAGE_LENGTH)
}

function parseQuestion(data: unknown): SyncedQuestion | null {
  const { keys, peers, session, isPatient } = fieldsOf(data)
  if (typeof isPatient !== "boolean") return null
  if (peers !== undefined && typeof peers !== "number") return null
  if (session !== undefined && !isText(session, MAX_ID_LENGTH)) return null
  if (keys !== undefined && !areKeys(keys)) return null
  return {
    isPatient,
    ...(keys === undefined ? {} : { keys }),
    ...(peers === undefined ? {} : { peers }),
    ...(session === undefined ? {} : { session }),
  }
}

function parseOutcome(data: unknown): SyncedOutcome | null {
  const { type, message } = fieldsOf(data)
  if (type === "held") return { type }
  if (type !== "no-peers" && type !== "refused" && type !== "failed") return null
  return isText(message, MAX_MESSAGE_LENGTH) ? { type, message } : null
}

function fieldsOf(data: unknown): Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null ? (data as Readonly<Record<string, unknown>>) : {}
}

/** Whether these are keys that fit in a message. Keys that do not fit are asked for as all. */
export function areKeys(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_ASKED_KEYS) return false
  // Not on the list itself: `every` skips holes, and a received list may have some.
  return [...value].every((key: unknown) => isText(key, MAX_KEY_LENGTH))
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.length <= maxLength
}
