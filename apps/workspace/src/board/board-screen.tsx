import { useMemo, useRef, useState } from "react"
import { useLocation } from "wouter"
import { COLUMNS, type Column, type Task } from "../data/entries.ts"
import { attempt } from "../ui/attempt.ts"
import { useTasks, useWorkspace } from "../workspace/workspace-context.ts"
import { MergedChanges } from "../people/merged-changes.tsx"
import { BoardColumn } from "./board-column.tsx"
import { TaskDialog } from "./task-dialog.tsx"
import { useCardDrag } from "./use-card-drag.ts"
import { useCardKeys } from "./use-card-keys.ts"

export interface BoardMoves {
  readonly byColumn: ReadonlyMap<Column, readonly Task[]>
  /** `index` counts the tasks of the column without the moved one. */
  move(task: Task, column: Column, index: number): void
  say(text: string): void
}

export function BoardScreen({ taskId }: { readonly taskId: string | null }) {
  const { tasks: board } = useWorkspace()
  const tasks = useTasks()
  const [, navigate] = useLocation()
  const [announcement, say] = useState("")
  const surface = useRef<HTMLDivElement>(null)
  const byColumn = useMemo(() => groupByColumn(tasks ?? []), [tasks])
  const open = taskId === null ? undefined : tasks?.find((task) => task.id === taskId)

  const moves: BoardMoves = {
    byColumn,
    say,
    move(task, column, index) {
      void attempt(board.move(task.id, column, index))
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
        Press space to lift the card, arrow keys to move it, space to drop it, escape to put it back; M opens
        the menu of columns.
      </p>
      <div className="visually-hidden" role="status" aria-live="assertive">
        {announcement}
      </div>
      <div className="columns" ref={surface}>
        {COLUMNS.map((column) => (
          <BoardColumn
            key={column.id}
            column={column}
            tasks={byColumn.get(column.id) ?? []}
            drag={drag}
            keys={keys}
            moves={moves}
            openTask={(task) => navigate(`/board/${task.id}`)}
          />
        ))}
      </div>
      {open !== undefined && <TaskDialog key={open.id} task={open} onClose={() => navigate("/board")} />}
    </div>
  )
}

function groupByColumn(tasks: readonly Task[]): ReadonlyMap<Column, readonly Task[]> {
  const byColumn = new Map<Column, Task[]>(COLUMNS.map((column) => [column.id, []]))
  for (const task of tasks) byColumn.get(task.column)?.push(task)
  return byColumn
}
