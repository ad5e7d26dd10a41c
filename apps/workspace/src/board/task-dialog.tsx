import { useState } from "react"
import { COLUMNS, MAX_NOTE, MAX_TITLE, type Column, type Task } from "../data/entries.ts"
import { attempt } from "../ui/attempt.ts"
import { Dialog } from "../ui/dialog.tsx"
import { DraftInput } from "../ui/draft-input.tsx"
import { Icon } from "../ui/icon.tsx"
import { toast } from "../ui/toasts.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"

export function TaskDialog({ task, onClose }: { readonly task: Task; readonly onClose: () => void }) {
  const { tasks } = useWorkspace()
  const [note, setNote] = useState<string | null>(null)

  async function saveNote(): Promise<void> {
    if (note === null || note === task.note) return
    if (await attempt(tasks.edit(task.id, { note }))) setNote(null)
  }

  async function close(): Promise<void> {
    await saveNote()
    onClose()
  }

  async function remove(): Promise<void> {
    if (!(await attempt(tasks.remove(task.id)))) return
    onClose()
    toast(`Deleted “${task.title}”.`, { label: "Undo", run: () => void attempt(tasks.restore(task)) })
  }

  return (
    <Dialog title="Task" onClose={() => void close()}>
      <label className="labelled">
        <span>Title</span>
        <DraftInput className="field" maxLength={MAX_TITLE} value={task.title} save={(title) => attempt(tasks.edit(task.id, { title }))} />
      </label>
      <label className="labelled">
        <span>Column</span>
        <select className="field" value={task.column} onChange={(event) => void attempt(tasks.edit(task.id, { column: event.target.value as Column }))}>
          {COLUMNS.map((column) => <option key={column.id} value={column.id}>{column.name}</option>)}
        </select>
      </label>
      <label className="labelled">
        <span>Note</span>
        <textarea className="field" rows={5} maxLength={MAX_NOTE} value={note ?? task.note} onChange={(event) => setNote(event.target.value)} onBlur={() => void saveNote()} />
      </label>
      <div className="actions">
        <button type="button" className="button quiet danger" onClick={() => void remove()}>
          <Icon name="trash" size={16} />
          Delete
        </button>
        <button type="button" className="button primary" onClick={() => void close()}>
          Done
        </button>
      </div>
    </Dialog>
  ) // prettier-ignore
}
