import { storageName } from "../device/namespace.ts"

/** What was typed into a field, and what the field showed before that. */
export interface KeptDraft {
  readonly text: string
  readonly seen: string
}

/** Keeps a draft for the field of that name; null removes it. Synchronous: a page that ends has no time for more. */
export function keepDraft(name: string | undefined, draft: KeptDraft | null): void {
  if (name === undefined) return
  try {
    if (draft === null) localStorage.removeItem(keyOf(name))
    else localStorage.setItem(keyOf(name), JSON.stringify({ text: draft.text, seen: draft.seen }))
  } catch {
    // Storage may be refused or full; then the draft is lost with the page.
  }
}

export function keptDraft(name: string | undefined): KeptDraft | null {
  if (name === undefined) return null
  try {
    const { text, seen } = JSON.parse(localStorage.getItem(keyOf(name)) ?? "{}") as Partial<KeptDraft>
    return typeof text === "string" && typeof seen === "string" ? { text, seen } : null
  } catch {
    return null
  }
}

function keyOf(name: string): string {
  return storageName(`draft-${name}`)
}
