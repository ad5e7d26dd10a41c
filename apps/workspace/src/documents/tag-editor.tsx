import { useState, type KeyboardEvent } from "react"
import { MAX_TAG, MAX_TAGS } from "../data/entries.ts"
import { Icon } from "../ui/icon.tsx"

export interface TagEditorProps {
  readonly tags: readonly string[]
  readonly add: (tag: string) => Promise<boolean>
  readonly remove: (tag: string) => Promise<boolean>
}

export function TagEditor({ tags, add, remove }: TagEditorProps) {
  const [draft, setDraft] = useState("")

  async function enter(): Promise<void> {
    const tag = draft.trim().replace(/^#/, "")
    // Cleared at once: someone who types on during the save is typing the next tag.
    setDraft("")
    if (tag === "" || tags.includes(tag) || (await add(tag))) return
    setDraft((typed) => typed || tag)
  }

  function pressed(event: KeyboardEvent): void {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault()
      void enter()
    }
    const last = tags.at(-1)
    if (event.key === "Backspace" && draft === "" && last !== undefined) void remove(last)
  }

  return (
    <div className="tags">
      {tags.map((tag) => (
        <span key={tag} className="tag">
          <span>{tag}</span>
          <button type="button" aria-label={`Remove tag ${tag}`} onClick={() => void remove(tag)}>
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      {tags.length < MAX_TAGS && (
        <input className="tag-input" aria-label="Add a tag" placeholder="Add a tag" maxLength={MAX_TAG} value={draft} onChange={(event) => setDraft(event.target.value)} onKeyDown={pressed} onBlur={() => void enter()} />
      )}
    </div>
  ) // prettier-ignore
}
