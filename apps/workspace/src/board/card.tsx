import { memo } from "react"
import { COLUMNS, type Task } from "../data/entries.ts"
import { Icon } from "../ui/icon.tsx"
import { Menu } from "../ui/menu.tsx"
import type { BoardMoves } from "./board-screen.tsx"
import type { CardDrag } from "./use-card-drag.ts"
import type { CardKeys } from "./use-card-keys.ts"

export interface CardProps {
  readonly task: Task
  /** Its place in the column, and whether it is the last. */
  readonly index: number
  readonly isLast: boolean
  readonly drag: CardDrag
  readonly keys: CardKeys
  readonly moves: BoardMoves
  readonly open: () => void
  /** Whether Tab stops here: once in a column, whose other cards the arrow keys reach. */
  readonly isStop: boolean
  readonly focused: () => void
}

export function Card({ task, index, isLast, drag, keys, moves, open, isStop, focused }: CardProps) {
  const lifted = keys.lifted === task.id
  const moveTo = (column: (typeof COLUMNS)[number], place: number): void => {
    moves.move(task, column.id, place)
    moves.say(`“${task.title}” moved to ${column.name}, position ${place + 1}.`)
  }
  const own = COLUMNS.filter(({ id }) => id === task.column)
  const others = COLUMNS.filter(({ id }) => id !== task.column)
  return (
    <div className="card" data-card={task.id} data-lifted={lifted ? "" : undefined} onFocus={focused}>
      <button
        type="button"
        className="card-face"
        tabIndex={isStop ? 0 : -1}
        aria-describedby="card-help"
        aria-pressed={lifted ? true : undefined}
        onPointerDown={(event) => drag.start(event, task)}
        onKeyDown={(event) => keys.pressed(event, task)}
        onBlur={() => keys.left(task)}
        onClick={() => {
          if (!drag.justDropped()) open()
        }}
      >
        <CardText task={task} />
      </button>
      <Menu
        label={`Actions for “${task.title}”`}
        className="icon-button card-menu"
        tabIndex={isStop ? 0 : -1}
        buttonProps={{ "data-move-menu": "" }}
        button={<Icon name="more" size={16} />}
        items={[
          ...others.map((column) => ({
            label: `Move to ${column.name}`,
            run: () => moveTo(column, moves.byColumn.get(column.id)?.length ?? 0),
          })),
          "line",
          // For those who cannot drag: these move a card within its column.
          ...own.flatMap((column) => [
            { label: "Move up", disabled: index === 0, run: () => moveTo(column, index - 1) },
            { label: "Move down", disabled: isLast, run: () => moveTo(column, index + 1) },
          ]),
          "line",
          { label: "Delete", danger: true, run: () => moves.remove(task) },
        ]}
      />
    </div>
  )
}

const CardText = memo(function CardText({ task }: { readonly task: Task }) {
  return (
    <>
      <span className="card-title" dir="auto">
        {task.title || "Untitled"}
      </span>
      <span className="card-meta soft">
        {task.note !== "" && <Icon name="document" size={13} />}
        <span dir="auto">{task.note === "" ? `by ${task.editor}` : task.note.slice(0, 60)}</span>
      </span>
    </>
  )
})
