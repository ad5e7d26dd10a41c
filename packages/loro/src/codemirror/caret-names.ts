/** Where a caret stands in the text, in pixels. */
export interface CaretSpot {
  readonly left: number
  readonly top: number
  readonly height: number
}

/** Where the name at a caret stands. */
export interface NamePlace {
  readonly where: "above" | "below"
  /** The side of the caret on which the name stands: a name that overflowed the text would let it scroll sideways. */
  readonly side: "left" | "right"
  /** How many names fit between it and its caret. */
  readonly level: number
  /** Pixels from the caret to the edge of the text on that side. A longer name is cut there. */
  readonly maxWidth: number
}

/** The edges of the text, in pixels. */
export interface TextEdges {
  readonly left: number
  readonly right: number
}

export interface NamedSpot {
  readonly spot: CaretSpot
  readonly name: string
}

interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

/** The name needs this much above or below its line. */
export const NAME_HEIGHT = 18
/** At 11 pixels most letters are narrower. A name is arranged before it is drawn, so it cannot be measured. */
const LETTER_WIDTH = 7
const PADDING = 10
/** Names further away from their caret than this would not be seen to belong to it. */
const LEVELS = 8

/** Arranges the names of carets that are close together so that each can be read. */
export function arrangeNames(spots: readonly NamedSpot[], { left, right }: TextEdges): readonly NamePlace[] {
  const taken: Box[] = []
  return spots.map(({ spot, name }) => {
    const side = spot.left > (left + right) / 2 ? "left" : "right"
    const maxWidth = Math.floor(side === "left" ? spot.left - left : right - spot.left)
    const places = candidates(spot, { side, maxWidth })
    const free = places.find((place) => !taken.some((box) => intersects(box, boxOf(spot, name, place))))
    const place = free ?? places[0] ?? { where: "above", side, level: 0, maxWidth }
    if (name !== "") taken.push(boxOf(spot, name, place))
    return place
  })
}

/** The nearest come first. No name fits above the first line. */
function candidates({ top }: CaretSpot, across: Pick<NamePlace, "side" | "maxWidth">): readonly NamePlace[] {
  return Array.from({ length: LEVELS }, (_, level) => level).flatMap((level) => {
    const above: NamePlace = { ...across, where: "above", level }
    const below: NamePlace = { ...across, where: "below", level }
    return top < NAME_HEIGHT * (level + 1) ? [below] : [above, below]
  })
}

function boxOf({ left, top, height }: CaretSpot, name: string, { where, side, level }: NamePlace): Box {
  const width = name.length * LETTER_WIDTH + PADDING
  const y = where === "above" ? top - NAME_HEIGHT * (level + 1) : top + height + NAME_HEIGHT * level
  const x = side === "left" ? left - width : left
  return { left: x, right: x + width, top: y, bottom: y + NAME_HEIGHT }
}

function intersects(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}
