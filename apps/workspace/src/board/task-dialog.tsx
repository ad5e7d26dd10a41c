import { useRef, useState } from "react"
import { COLUMNS, MAX_NOTE, MAX_TITLE, type Column, type Task } from "../data/entries.ts"
import type { TaskFields } from "../data/task-board.ts"
import { attempt } from "../ui/attempt.ts"
import { Dialog } from "../ui/dialog.tsx"
import { DraftArea, DraftInput } from "../ui/draft-input.tsx"
import { Icon } from "../ui/icon.tsx"
import { Notice } from "../ui/notice.tsx"
import { useIsShown } from "../ui/use-is-shown.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { useDeleteTask } from "./use-delete-task.ts"

export interface TaskDialogProps {
  /** The task as it is, or as it was when last seen. */
  readonly task: Task
  /** The task was deleted elsewhere; what is being written on it must not vanish with it. */
  readonly isGone: boolean
  readonly onClose: () => void
}

export function TaskDialog({ task, isGone, onClose }: TaskDialogProps) {
  const { tasks } = useWorkspace()
  const deleteTask = useDeleteTask()
  const isShown = useIsShown()
  const [leaving, setLeaving] = useState(false)
  const written = useRef<TaskFields>({})

  async function save(fields: TaskFields, seen: TaskFields): Promise<boolean> {
    if (!isGone) return attempt(tasks.edit(task.id, fields, seen))
    written.current = { ...written.current, ...fields }
    return false
  }

  async function remove(): Promise<void> {
    setLeaving(true)
    if (!(await deleteTask(task))) return setLeaving(false)
    if (isShown()) onClose()
  }

  async function bringBack(): Promise<void> {
    if ((await attempt(tasks.restore({ ...task, ...written.current }))) && isShown()) onClose()
  }

  return (
    <Dialog title="Task" onClose={onClose}>
      {isGone && !leaving && (
        <Notice tone="warn" title="This task was deleted on another device.">
          <p>What you see here is still yours to keep.</p>
        </Notice>
      )}
      <label className="labelled">
        <span>Title</span>
        <DraftInput className="field" maxLength={MAX_TITLE} value={task.title} keepAs={`title of ${task.id}`} save={(title, seen) => save({ title }, { title: seen })} />
      </label>
      <label className="labelled">
        <span>Column</span>
        <select className="field" value={task.column} disabled={isGone} onChange={(event) => void attempt(tasks.edit(task.id, { column: event.target.value as Column }))}>
          {COLUMNS.map((column) => <option key={column.id} value={column.id}>{column.name}</option>)}
        </select>
      </label>
      <label className="labelled">
        <span>Note</span>
        <DraftArea className="field" rows={5} maxLength={MAX_NOTE} value={task.note} keepAs={`note of ${task.id}`} save={(note, seen) => save({ note }, { note: seen })} />
      </label>
      {isGone && !leaving ? (
        <div className="actions">
          <button type="button" className="button quiet" onClick={onClose}>
            Let it go
          </button>
          <button type="button" className="button primary" onClick={() => void bringBack()}>
            Bring it back
          </button>
        </div>
      ) : (
        <div className="actions">
          <button type="button" className="button quiet danger" onClick={() => void remove()}>
            <Icon name="trash" size={16} />
            Delete
          </button>
          <button type="button" className="button primary" onClick={onClose}>
            Done
          </button>
        </div>
      )}
    </Dialog>
  ) // prettier-ignore
}
