import { useRef, useState, type KeyboardEvent } from "react"
import { COLUMNS, type Column, type Task } from "../data/entries.ts"
import type { BoardMoves } from "./board-screen.tsx"

export interface CardKeys {
  /** Id of the card that is lifted. */
  readonly lifted: string | null
  pressed(event: KeyboardEvent, task: Task): void
  left(task: Task): void
}

interface Lift {
  readonly id: string
  readonly from: { readonly column: Column; readonly index: number }
}

/** The board by keyboard: space lifts and drops, arrows move, Escape puts back. Every step is a real move. */
export function useCardKeys(moves: BoardMoves): CardKeys {
  const [lift, setLift] = useState<Lift | null>(null)
  // While a move is on its way to the screen, the card is in two places; do not let go of it for that.
  const movingUntil = useRef(0)

  function place(task: Task): { readonly column: Column; readonly index: number; readonly count: number } {
    const tasks = moves.byColumn.get(task.column) ?? []
    return { column: task.column, index: tasks.findIndex(({ id }) => id === task.id), count: tasks.length }
  }

  function pressed(event: KeyboardEvent, task: Task): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const held = lift?.id === task.id
    if (event.key === " ") {
      event.preventDefault()
      if (held) return drop(task)
      const { column, index } = place(task)
      setLift({ id: task.id, from: { column, index } })
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
    if (held) return shift(event, task, step)
    focusNeighbour(event.currentTarget, step)
  }

  function shift({ currentTarget }: KeyboardEvent, task: Task, [columns, rows]: Step): void {
    const now = place(task)
    const columnIndex = COLUMNS.findIndex(({ id }) => id === now.column) + columns
    const column = COLUMNS[columnIndex]
    if (column === undefined) return
    const count = (moves.byColumn.get(column.id)?.length ?? 0) - (column.id === now.column ? 1 : 0)
    const index = Math.min(Math.max(now.index + rows, 0), count)
    if (column.id === now.column && index === now.index) return
    moveTo(currentTarget, task, column.id, index)
    moves.say(`${column.name}, position ${index + 1} of ${count + 1}.`)
  }

  function moveTo(card: Element, task: Task, column: Column, index: number): void {
    movingUntil.current = performance.now() + MOVING_MS
    moves.move(task, column, index)
    if (column !== task.column) return follow(card, task.id)
    // The same element in another place.
    setTimeout(() => card.scrollIntoView({ block: "nearest" }), 120)
  }

  function drop(task: Task): void {
    setLift(null)
    moves.say(`“${task.title}” dropped.`)
  }

  function putBack(event: KeyboardEvent, task: Task): void {
    event.stopPropagation()
    if (lift === null) return
    moveTo(event.currentTarget, task, lift.from.column, lift.from.index)
    moves.say(`“${task.title}” put back.`)
    setLift(null)
  }

  return {
    lifted: lift?.id ?? null,
    pressed,
    left(task) {
      if (lift?.id === task.id && performance.now() > movingUntil.current) setLift(null)
    },
  }
}

/** Longer than a move takes to reach the screen. */
const MOVING_MS = 1_500

type Step = readonly [columns: number, rows: number]

const STEPS: Readonly<Record<string, Step>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
}

/** A card that changes its column is mounted anew there: give it the focus when it has arrived. */
function follow(from: Element, id: string): void {
  const board = from.closest(".board")
  const deadline = performance.now() + MOVING_MS
  const look = (): void => {
    const face = board?.querySelector<HTMLElement>(`[data-card="${CSS.escape(id)}"] .card-face`)
    // Gone, or still the one that is about to go.
    if ((!face || (face === from && performance.now() < deadline)) && performance.now() < deadline) {
      requestAnimationFrame(look)
      return
    }
    face?.focus()
    face?.scrollIntoView({ block: "nearest" })
  }
  requestAnimationFrame(look)
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
