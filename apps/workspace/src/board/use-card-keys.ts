import { useLayoutEffect, useRef, useState, type KeyboardEvent, type RefObject } from "react"
import { columnName, COLUMNS, type Column, type Task } from "../data/entries.ts"
import type { BoardMoves } from "./board-screen.tsx"

export interface CardKeys {
  /** Id of the card that is lifted. */
  readonly lifted: string | null
  /** Id of the card that the keys were used on. It stays mounted wherever it goes, so that it keeps the focus. */
  readonly kept: string | null
  pressed(event: KeyboardEvent, task: Task): void
  left(task: Task): void
}

interface Place {
  readonly column: Column
  readonly index: number
}

interface Lift {
  readonly id: string
  readonly from: Place
  readonly isHeld: boolean
}

/** A move that is stored but not yet on the screen. */
interface Arrival extends Place {
  readonly id: string
  readonly until: number
}

/** How long a card counts as being where it was sent, even if somebody else moves it meanwhile. */
const ARRIVAL_MS = 1_500

/** The board by keyboard: space lifts and drops, arrows move, Escape puts back. Every step is stored as a move. */
export function useCardKeys(surface: RefObject<HTMLElement | null>, moves: BoardMoves): CardKeys {
  const [lift, setLift] = useState<Lift | null>(null)
  // Key presses outrun the screen: the next step starts from where the last one leads.
  const arriving = useRef<Arrival | null>(null)

  // A card that changes its column is mounted anew there, and gets the focus back before another key can be pressed.
  useLayoutEffect(() => {
    const goal = arriving.current
    if (goal === null) return
    const face = surface.current?.querySelector<HTMLElement>(
      `[data-card="${CSS.escape(goal.id)}"] .card-face`,
    )
    // Nobody has gone on to another place: the focus is on the page, or on the content around the card.
    if (document.activeElement === null || document.activeElement.contains(face ?? null)) face?.focus()
    face?.scrollIntoView({ block: "nearest" })
    const isThere = moves.byColumn.get(goal.column)?.[goal.index]?.id === goal.id
    if (isThere || performance.now() > goal.until) arriving.current = null
  }, [moves.byColumn, surface])

  function place(task: Task): Place {
    const goal = arriving.current
    if (goal?.id === task.id && performance.now() < goal.until) return goal
    const tasks = moves.byColumn.get(task.column) ?? []
    return { column: task.column, index: tasks.findIndex(({ id }) => id === task.id) }
  }

  function pressed(event: KeyboardEvent, task: Task): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const held = lift?.id === task.id && lift.isHeld
    if (event.key === " ") {
      event.preventDefault()
      if (held) return drop(task)
      const { column, index } = place(task)
      setLift({ id: task.id, from: { column, index }, isHeld: true })
      return moves.say(`“${task.title}” lifted. Use the arrow keys.`)
    }
    if (event.key === "m" || event.key === "M") {
      event.currentTarget.parentElement?.querySelector<HTMLElement>("[data-move-menu]")?.click()
      return
    }
    if (held && event.key === "Escape") return putBack(event, task)
    if (held && event.key === "Enter") {
      event.preventDefault()
      return drop(task)
    }
    const step = STEPS[event.key]
    if (step === undefined) return
    event.preventDefault()
    if (held) return shift(task, step)
    focusNeighbour(event.currentTarget, step)
  }

  function shift(task: Task, [columns, rows]: Step): void {
    const now = place(task)
    const column = COLUMNS[COLUMNS.findIndex(({ id }) => id === now.column) + columns]?.id
    if (column === undefined) return
    const others = (moves.byColumn.get(column) ?? []).filter(({ id }) => id !== task.id).length
    const index = Math.min(Math.max(now.index + rows, 0), others)
    if (column === now.column && index === now.index) return
    moveTo(task, { column, index })
    moves.say(`${columnName(column)}, position ${index + 1} of ${others + 1}.`)
  }

  function moveTo(task: Task, { column, index }: Place): void {
    arriving.current = { id: task.id, column, index, until: performance.now() + ARRIVAL_MS }
    moves.move(task, column, index)
  }

  function drop(task: Task): void {
    setLift((old) => old && { ...old, isHeld: false })
    moves.say(`“${task.title}” dropped.`)
  }

  function putBack(event: KeyboardEvent, task: Task): void {
    event.stopPropagation()
    if (lift === null) return
    moveTo(task, lift.from)
    moves.say(`“${task.title}” put back.`)
    setLift({ ...lift, isHeld: false })
  }

  return {
    lifted: lift?.isHeld === true ? lift.id : null,
    kept: lift?.id ?? null,
    pressed,
    left(task) {
      if (lift?.id === task.id) setLift(null)
    },
  }
}

type Step = readonly [columns: number, rows: number]

const STEPS: Readonly<Record<string, Step>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
}

function focusNeighbour(from: Element, [columns, rows]: Step): void {
  const column = from.closest(".column")
  if (column === null) return
  const faces = (element: Element): HTMLElement[] =>
    [...element.querySelectorAll<HTMLElement>(".card-face")].sort((a, b) => topOf(a) - topOf(b))
  const index = faces(column).indexOf(from as HTMLElement)
  if (rows !== 0) return faces(column)[index + rows]?.focus()
  const next = columns > 0 ? column.nextElementSibling : column.previousElementSibling
  if (next === null) return
  const nearest = faces(next).sort(
    (a, b) => Math.abs(topOf(a) - topOf(from)) - Math.abs(topOf(b) - topOf(from)),
  )[0]
  nearest?.focus()
}

function topOf(element: Element): number {
  return element.getBoundingClientRect().top
}
