import "./board.css"
import { useMemo, useRef, useState } from "react"
import { useLocation } from "wouter"
import { COLUMNS, type Column, type Task } from "../data/entries.ts"
import { attempt } from "../ui/attempt.ts"
import { useTasks, useWorkspace } from "../workspace/workspace-context.ts"
import { taskPath } from "../shell/paths.ts"
import { MergedChanges } from "../people/merged-changes.tsx"
import { BoardColumn } from "./board-column.tsx"
import { TaskDialog } from "./task-dialog.tsx"
import { useCardDrag } from "./use-card-drag.ts"
import { useCardKeys } from "./use-card-keys.ts"
import { useDeleteTask } from "./use-delete-task.ts"

export interface BoardMoves {
  readonly byColumn: ReadonlyMap<Column, readonly Task[]>
  /** `index` counts the tasks of the column without the moved one. */
  move(task: Task, column: Column, index: number): void
  remove(task: Task): void
  say(text: string): void
}

export function BoardScreen({ taskId }: { readonly taskId: string | null }) {
  const { tasks: board } = useWorkspace()
  const tasks = useTasks()
  const deleteTask = useDeleteTask()
  const [, navigate] = useLocation()
  const [announcement, say] = useState("")
  const surface = useRef<HTMLDivElement>(null)
  const byColumn = useMemo(() => groupByColumn(tasks ?? []), [tasks])
  const present = tasks?.find((task) => task.id === taskId)
  const open = useLastSeen(present, taskId)

  const moves: BoardMoves = {
    byColumn,
    say,
    move(task, column, index) {
      void attempt(board.move(task.id, column, index))
    },
    remove(task) {
      focusBeside(surface.current, byColumn.get(task.column) ?? [], task)
      void deleteTask(task)
    },
  }
  const drag = useCardDrag(surface, moves)
  const keys = useCardKeys(surface, moves)

  return (
    <div className="board">
      <header className="screen-head">
        <h1 className="serif-title">Board</h1>
        <MergedChanges kind="task" />
      </header>
      <p className="visually-hidden" id="card-help">
        Arrow keys go from card to card. Press space to lift the card, arrow keys to move it, space to drop
        it, escape to put it back; M opens the menu of columns.
      </p>
      <div className="visually-hidden" role="status" aria-live="assertive">
        {announcement}
      </div>
      <div className="columns" ref={surface}>
        {tasks !== null &&
          COLUMNS.map((column) => (
            <BoardColumn
              key={column.id}
              column={column}
              tasks={byColumn.get(column.id) ?? []}
              drag={drag}
              keys={keys}
              moves={moves}
              openTask={(task) => navigate(taskPath(task.id))}
            />
          ))}
      </div>
      {open !== null && (
        <TaskDialog
          key={open.id}
          task={open}
          isGone={present === undefined}
          onClose={() => navigate("/board")}
        />
      )}
    </div>
  )
}

/** The focus would be lost with the card. */
function focusBeside(surface: HTMLElement | null, inColumn: readonly Task[], { id, column }: Task): void {
  const at = inColumn.findIndex((task) => task.id === id)
  const beside = inColumn[at + 1] ?? inColumn[at - 1]
  const next =
    beside === undefined
      ? `[data-column="${column}"] .new-task input`
      : `[data-card="${CSS.escape(beside.id)}"] .card-face`
  surface?.querySelector<HTMLElement>(next)?.focus()
}

/** The open task, even when it has just been deleted elsewhere: someone may be writing on it. */
function useLastSeen(present: Task | undefined, id: string | null): Task | null {
  const [seen, setSeen] = useState<Task | null>(null)
  if (present !== undefined && present !== seen) setSeen(present)
  return present ?? (seen !== null && seen.id === id ? seen : null)
}

function groupByColumn(tasks: readonly Task[]): ReadonlyMap<Column, readonly Task[]> {
  const byColumn = new Map<Column, Task[]>(COLUMNS.map((column) => [column.id, []]))
  for (const task of tasks) byColumn.get(task.column)?.push(task)
  return byColumn
}
