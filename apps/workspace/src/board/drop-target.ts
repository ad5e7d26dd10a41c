import type { Column } from "../data/entries.ts"

export interface DropTarget {
  readonly column: Column
  /** Position among the column's tasks, without the dragged one. */
  readonly index: number
}

export interface ColumnBox {
  readonly column: Column
  readonly left: number
  readonly right: number
  /** Top of the first row in window coordinates, even when it is scrolled out of view. */
  readonly rowsTop: number
  readonly count: number
}

/** Where a card held at (x, y) would go. All rows are equally high, so arithmetic gives the place. */
export function dropTarget(
  boxes: readonly ColumnBox[],
  x: number,
  y: number,
  rowHeight: number,
): DropTarget | null {
  const box = boxes.find(({ left, right }) => x >= left && x < right)
  if (box === undefined) return null
  const index = Math.round((y - box.rowsTop) / rowHeight)
  return { column: box.column, index: Math.min(Math.max(index, 0), box.count) }
}
