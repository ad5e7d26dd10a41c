import { useRef, useState, type ClipboardEvent, type FormEvent } from "react"
import { MAX_TITLE, type Column, type Task } from "../data/entries.ts"
import { attempt } from "../ui/attempt.ts"
import { Icon } from "../ui/icon.tsx"
import { toast } from "../ui/toasts.tsx"
import { VirtualRows } from "../ui/virtual-rows.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"
import type { BoardMoves } from "./board-screen.tsx"
import { Card } from "./card.tsx"
import { readTitles } from "./pasted-titles.ts"
import { CARD_ROW_REM, type CardDrag } from "./use-card-drag.ts"
import type { CardKeys } from "./use-card-keys.ts"

export interface BoardColumnProps {
  readonly column: { readonly id: Column; readonly name: string }
  readonly tasks: readonly Task[]
  readonly drag: CardDrag
  readonly keys: CardKeys
  readonly moves: BoardMoves
  readonly openTask: (task: Task) => void
}

export function BoardColumn({ column, tasks, drag, keys, moves, openTask }: BoardColumnProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const [used, setUsed] = useState<string | null>(null)
  const stop = (tasks.find(({ id }) => id === used) ?? tasks[0])?.id ?? null
  const target = drag.target?.column === column.id ? drag.target.index : null
  return (
    <section className="column" data-column={column.id} data-target={target === null ? undefined : ""} aria-labelledby={`column-${column.id}`}>
      <header>
        <h2 id={`column-${column.id}`}>{column.name}</h2>
        <span className="soft numbers">{tasks.length}</span>
      </header>
      <VirtualRows
        items={tasks}
        rowHeight={CARD_ROW_REM}
        keyOf={(task) => task.id}
        keep={[keys.kept, stop]}
        parked={drag.dragged?.id ?? null}
        spare={target === null ? 0 : 1}
        scroller={scroller}
        label={column.name}
        className="cards"
        render={(task, index) => (
          <div className="card-slot" data-below={target !== null && index >= target ? "" : undefined}>
            <Card task={task} index={index} isLast={index === tasks.length - 1} drag={drag} keys={keys} moves={moves} open={() => openTask(task)} isStop={task.id === stop} focused={() => setUsed(task.id)} />
          </div>
        )}
      />
      <NewTask column={column.id} name={column.name} created={() => scroller.current?.scrollTo({ top: scroller.current.scrollHeight })} />
    </section>
  ) // prettier-ignore
}

interface NewTaskProps {
  readonly column: Column
  readonly name: string
  readonly created: () => void
}

function NewTask({ column, name, created }: NewTaskProps) {
  const { tasks } = useWorkspace()
  const [title, setTitle] = useState("")

  async function add(event: FormEvent): Promise<void> {
    event.preventDefault()
    const text = title.trim()
    if (text === "") return
    setTitle("")
    if (await attempt(tasks.create(text, column))) requestAnimationFrame(created)
    else setTitle(text)
  }

  /** A field of one line would make one long title of a list. */
  async function addPasted(event: ClipboardEvent): Promise<void> {
    const titles = readTitles(event.clipboardData.getData("text/plain"))
    if (titles.length < 2 || title !== "") return
    event.preventDefault()
    const isAdded = await attempt(
      tasks.createList(titles, column).then((ids) =>
        toast(`Added ${titles.length} tasks.`, {
          label: "Undo",
          run: () => void attempt(tasks.removeMany(ids)),
        }),
      ),
    )
    if (isAdded) requestAnimationFrame(created)
  }

  return (
    <form className="new-task" onSubmit={(event) => void add(event)}>
      <Icon name="plus" size={16} />
      <input dir="auto" aria-label={`New task in ${name}`} placeholder="Add a task" value={title} maxLength={MAX_TITLE} onChange={(event) => setTitle(event.target.value)} onPaste={(event) => void addPasted(event)} />
    </form>
  ) // prettier-ignore
}
