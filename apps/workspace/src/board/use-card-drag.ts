import { useEffect, useRef, useState, type PointerEvent as ReactPointerEvent, type RefObject } from "react"
import { columnName, COLUMNS, type Task } from "../data/entries.ts"
import { remInPx } from "../ui/rem.ts"
import type { BoardMoves } from "./board-screen.tsx"
import { dropTarget, type ColumnBox, type DropTarget } from "./drop-target.ts"

export const CARD_ROW_REM = 5

export interface CardDrag {
  readonly dragged: Task | null
  readonly target: DropTarget | null
  start(event: ReactPointerEvent, task: Task): void
  /** True for the click that ends a drag, which must not open the card. */
  justDropped(): boolean
}

const MOUSE_SLACK = 5
/** A finger that moves before this time scrolls instead. */
const HOLD_MS = 220
const HOLD_SLACK = 10
/** The click after a drop arrives once the page has drawn the drop; a new press ends this time early. */
const CLICK_WITHIN_MS = 400
const EDGE = 56
const SCROLL_STEP = 14

interface Grip {
  readonly task: Task
  readonly face: HTMLElement
  readonly pointer: number
  readonly fromX: number
  readonly fromY: number
  ghost: HTMLElement | null
  timer: ReturnType<typeof setTimeout> | null
}

/** Dragging by mouse, pen or held finger. The card itself is moved by the browser's compositor, not by React. */
export function useCardDrag(surface: RefObject<HTMLDivElement | null>, moves: BoardMoves): CardDrag {
  const [dragged, setDragged] = useState<Task | null>(null)
  const [target, setTarget] = useState<DropTarget | null>(null)
  const latest = useRef({ moves, target })
  latest.current = { moves, target }
  const droppedAt = useRef(-CLICK_WITHIN_MS)
  const end = useRef<(() => void) | null>(null)
  useEffect(() => () => end.current?.(), [])

  function start(event: ReactPointerEvent, task: Task): void {
    if (event.button !== 0 || !event.isPrimary) return
    droppedAt.current = -CLICK_WITHIN_MS
    const face = event.currentTarget as HTMLElement
    const grip: Grip = { task, face, pointer: event.pointerId, fromX: event.clientX, fromY: event.clientY, ghost: null, timer: null } // prettier-ignore
    if (event.pointerType === "touch") grip.timer = setTimeout(() => lift(grip), HOLD_MS)
    const controller = new AbortController()
    const options = { signal: controller.signal }
    end.current = () => {
      controller.abort()
      if (grip.timer !== null) clearTimeout(grip.timer)
      grip.ghost?.remove()
      end.current = null
      setDragged(null)
      setTarget(null)
    }
    addEventListener("pointermove", (move) => moved(grip, move), options)
    addEventListener("pointerup", (up) => up.pointerId === grip.pointer && dropped(grip), options)
    addEventListener("pointercancel", () => end.current?.(), options)
    addEventListener("keydown", (key) => key.key === "Escape" && end.current?.(), options)
    // Once a finger has lifted the card, its movement is not a scroll.
    addEventListener("touchmove", (touch) => grip.ghost && touch.preventDefault(), {
      ...options,
      passive: false,
    })
    addEventListener("contextmenu", (menu) => grip.ghost && menu.preventDefault(), options)
  }

  function moved(grip: Grip, event: PointerEvent): void {
    if (event.pointerId !== grip.pointer) return
    const distance = Math.hypot(event.clientX - grip.fromX, event.clientY - grip.fromY)
    if (grip.ghost === null) {
      if (event.pointerType === "touch") return distance > HOLD_SLACK ? end.current?.() : undefined
      if (distance < MOUSE_SLACK) return
      lift(grip)
    }
    if (grip.ghost === null) return
    const [x, y] = [event.clientX - grip.fromX, event.clientY - grip.fromY]
    grip.ghost.style.transform = `translate(${x}px, ${y}px) rotate(1.2deg)`
    scrollNearEdges(surface.current, event)
    const top = grip.ghost.offsetTop + y
    const next = dropTarget(
      measure(surface.current, latest.current.moves, grip.task),
      event.clientX,
      top,
      CARD_ROW_REM * remInPx(),
    )
    const old = latest.current.target
    if (next?.column !== old?.column || next?.index !== old?.index) setTarget(next)
  }

  function lift(grip: Grip): void {
    const card = grip.face.closest<HTMLElement>(".card")
    if (card === null) return
    const box = card.getBoundingClientRect()
    const ghost = card.cloneNode(true) as HTMLElement
    ghost.classList.add("ghost")
    ghost.inert = true
    ghost.style.cssText = `left:${box.left}px;top:${box.top}px;width:${box.width}px;height:${box.height}px`
    // The clone moves within the surface while the touched card stays: removing that card would cancel the touch.
    surface.current?.append(ghost)
    grip.ghost = ghost
    setDragged(grip.task)
  }

  function dropped(grip: Grip): void {
    const { moves: to, target: place } = latest.current
    if (grip.ghost !== null) {
      droppedAt.current = performance.now()
      if (place !== null) {
        to.move(grip.task, place.column, place.index)
        to.say(`“${grip.task.title}” dropped in ${columnName(place.column)}, position ${place.index + 1}.`)
      }
    }
    end.current?.()
  }

  return {
    dragged,
    target,
    start,
    justDropped: () => performance.now() - droppedAt.current < CLICK_WITHIN_MS,
  }
}

function measure(surface: HTMLElement | null, moves: BoardMoves, dragged: Task): readonly ColumnBox[] {
  return COLUMNS.flatMap(({ id }) => {
    const column = surface?.querySelector<HTMLElement>(`[data-column="${id}"]`)
    const rows = column?.querySelector<HTMLElement>(".virtual > ul")
    if (!column || !rows) return []
    const { left, right } = column.getBoundingClientRect()
    const count = (moves.byColumn.get(id) ?? []).filter((task) => task.id !== dragged.id).length
    return [{ column: id, left, right, rowsTop: rows.getBoundingClientRect().top, count }]
  })
}

function scrollNearEdges(surface: HTMLElement | null, { clientX, clientY }: PointerEvent): void {
  if (surface === null) return
  const around = surface.getBoundingClientRect()
  if (clientX > around.right - EDGE) surface.scrollBy(SCROLL_STEP, 0)
  if (clientX < around.left + EDGE) surface.scrollBy(-SCROLL_STEP, 0)
  const rows = document
    .elementsFromPoint(clientX, clientY)
    .find((element) => element.classList.contains("virtual"))
  const box = rows?.getBoundingClientRect()
  if (!rows || !box) return
  if (clientY > box.bottom - EDGE) rows.scrollBy(0, SCROLL_STEP)
  if (clientY < box.top + EDGE) rows.scrollBy(0, -SCROLL_STEP)
}
