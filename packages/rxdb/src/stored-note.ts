/**
 * A note that this package stored as JSON; null if it is damaged. A disk or a tool may have changed what is stored, and
 * one unreadable note must not keep a collection from replicating.
 */
export function parseNote<Note>(text: string, isNote: (value: unknown) => value is Note): Note | null {
  try {
    const value: unknown = JSON.parse(text)
    return isNote(value) ? value : null
  } catch {
    return null
  }
}

export function isListOf<Item>(
  isItem: (value: unknown) => value is Item,
): (value: unknown) => value is Item[] {
  // Not `every` on what was read: it skips holes.
  return (value): value is Item[] => Array.isArray(value) && [...(value as unknown[])].every(isItem)
}

export function isText(value: unknown): value is string {
  return typeof value === "string"
}
