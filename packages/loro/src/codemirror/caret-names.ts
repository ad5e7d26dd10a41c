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
  /** The height of those names, in pixels. */
  readonly gap: number
  /** Pixels from the caret to the edge of the text on that side. A longer name is cut there. */
  readonly maxWidth: number
}

/** The edges of the text, and the font size of the page's root, in pixels. */
export interface TextMeasures {
  readonly left: number
  readonly right: number
  readonly letters: number
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

/** Of a browser that nobody has told to use other letters. The sizes below are for these. */
const USUAL_LETTERS = 16
/** The name needs this much above or below its line. */
const NAME_HEIGHT = 18
/** At 11 pixels most letters are narrower. A name is arranged before it is drawn, so it cannot be measured. */
const LETTER_WIDTH = 7
const PADDING = 10
/** Names further away from their caret than this would not be seen to belong to it. */
const LEVELS = 8

/** Arranges the names of carets that are close together so that each can be read. */
export function arrangeNames(
  spots: readonly NamedSpot[],
  { left, right, letters }: TextMeasures,
): readonly NamePlace[] {
  const scale = letters / USUAL_LETTERS
  const taken: Box[] = []
  return spots.map(({ spot, name }) => {
    const side = spot.left > (left + right) / 2 ? "left" : "right"
    const maxWidth = Math.floor(side === "left" ? spot.left - left : right - spot.left)
    const places = candidates(spot, { side, maxWidth }, NAME_HEIGHT * scale)
    const boxAt = (place: NamePlace): Box => boxOf(spot, place, sizeOf(name, scale))
    const free = places.find((place) => !taken.some((box) => intersects(box, boxAt(place))))
    const place = free ?? places[0] ?? { where: "above", side, level: 0, gap: 0, maxWidth }
    if (name !== "") taken.push(boxAt(place))
    return place
  })
}

/** The nearest come first. No name fits above the first line. */
function candidates(
  { top }: CaretSpot,
  across: Pick<NamePlace, "side" | "maxWidth">,
  height: number,
): readonly NamePlace[] {
  return Array.from({ length: LEVELS }, (_, level) => level).flatMap((level) => {
    const place = { ...across, level, gap: level * height }
    const above: NamePlace = { ...place, where: "above" }
    const below: NamePlace = { ...place, where: "below" }
    return top < place.gap + height ? [below] : [above, below]
  })
}

interface NameSize {
  readonly width: number
  readonly height: number
}

function sizeOf(name: string, scale: number): NameSize {
  return { width: name.length * LETTER_WIDTH * scale + PADDING, height: NAME_HEIGHT * scale }
}

function boxOf(spot: CaretSpot, { where, side, gap }: NamePlace, { width, height }: NameSize): Box {
  const top = where === "above" ? spot.top - gap - height : spot.top + spot.height + gap
  const left = side === "left" ? spot.left - width : spot.left
  return { left, right: left + width, top, bottom: top + height }
}

function intersects(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}
