import { useState, type KeyboardEvent } from "react"
import { MAX_TAG, MAX_TAGS } from "../data/entries.ts"
import { Icon } from "../ui/icon.tsx"

export interface TagEditorProps {
  readonly tags: readonly string[]
  readonly save: (tags: readonly string[]) => Promise<boolean>
}

export function TagEditor({ tags, save }: TagEditorProps) {
  const [draft, setDraft] = useState("")

  async function add(): Promise<void> {
    const tag = draft.trim().replace(/^#/, "")
    if (tag !== "" && !tags.includes(tag) && !(await save([...tags, tag]))) return
    setDraft("")
  }

  function pressed(event: KeyboardEvent): void {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault()
      void add()
    }
    if (event.key === "Backspace" && draft === "" && tags.length > 0) void save(tags.slice(0, -1))
  }

  return (
    <div className="tags">
      {tags.map((tag) => (
        <span key={tag} className="tag">
          <span>{tag}</span>
          <button type="button" aria-label={`Remove tag ${tag}`} onClick={() => void save(tags.filter((other) => other !== tag))}>
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      {tags.length < MAX_TAGS && (
        <input className="tag-input" aria-label="Add a tag" placeholder="Add a tag" maxLength={MAX_TAG} value={draft} onChange={(event) => setDraft(event.target.value)} onKeyDown={pressed} onBlur={() => void add()} />
      )}
    </div>
  ) // prettier-ignore
}
