import "./note.css"
import { QUICK_NOTE } from "../data/entries.ts"
import { EngineFailed } from "../documents/engine-failed.tsx"
import { useNote } from "../documents/use-note.ts"
import { Notice } from "../ui/notice.tsx"
import { NoteArea } from "./note-area.tsx"

export function NoteScreen() {
  const note = useNote(QUICK_NOTE)
  return (
    <div className="note">
      <header className="screen-head">
        <h1 className="serif-title">Quick note</h1>
        <p className="soft">One sheet for everybody here. Write at the same time; nothing is overwritten.</p>
      </header>
      {note.type === "failed" && <EngineFailed reason={note.reason} retry={note.retry} text={undefined} />}
      {note.type === "deleted" && (
        <Notice tone="warn" title="The quick note of this workspace was deleted." />
      )}
      {note.type === "loading" && (
        <textarea className="sheet" aria-label="Quick note" disabled placeholder="Opening…" />
      )}
      {note.type === "ready" && <NoteArea key={note.note.id} note={note.note} />}
    </div>
  )
}
