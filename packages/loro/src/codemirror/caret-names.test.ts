import { expect, it } from "vitest"
import { arrangeNames, type NamePlace } from "./caret-names.ts"

const edges = { left: 0, right: 400, letters: 16 }
const at = (left: number, top: number, name = "Bartholomew") => ({ spot: { left, top, height: 20 }, name })

const heights = (places: readonly NamePlace[]): readonly string[] =>
  places.map(({ where, level }) => `${where} ${level}`)

it("one name stands above its caret, on the side that is wider", () => {
  expect(arrangeNames([at(10, 100)], edges)).toEqual([
    { where: "above", side: "right", level: 0, gap: 0, maxWidth: 390 },
  ])
  expect(arrangeNames([at(300, 100)], edges)).toEqual([
    { where: "above", side: "left", level: 0, gap: 0, maxWidth: 300 },
  ])
  expect(arrangeNames([at(10, 4)], edges)).toEqual([
    { where: "below", side: "right", level: 0, gap: 0, maxWidth: 390 },
  ])
})

it("names at one place stand above, below and further away", () => {
  const places = arrangeNames([at(10, 100), at(12, 100), at(14, 100), at(16, 100)], edges)
  expect(heights(places)).toEqual(["above 0", "below 0", "above 1", "below 1"])
})

it("a name below one line and a name above the next do not meet", () => {
  const places = arrangeNames([at(10, 4), at(10, 40)], edges)
  expect(heights(places)).toEqual(["below 0", "below 0"])
})

it("names that are apart, or empty, leave each other in place", () => {
  const places = arrangeNames([at(10, 100), at(150, 100), at(10, 160), at(10, 100, "")], edges)
  expect(heights(places.slice(0, 3))).toEqual(["above 0", "above 0", "above 0"])
  expect(arrangeNames([at(10, 100, ""), at(10, 100)], edges)[1]).toMatchObject({ where: "above", level: 0 })
})

it("of more carets at one place than there are levels the others have their names nearest, over the first", () => {
  const places = arrangeNames(
    Array.from({ length: 20 }, () => at(10, 200)),
    edges,
  )
  expect(new Set(heights(places.slice(0, 16))).size).toBe(16)
  expect(heights(places.slice(16))).toEqual(Array(4).fill("above 0"))
})

it("on the first line, where none can stand above, six names have a place each", () => {
  const places = arrangeNames(
    Array.from({ length: 6 }, () => at(10, 0)),
    edges,
  )
  expect(new Set(heights(places)).size).toBe(6)
})

it("a name may reach the edge of the text on its side, and no further", () => {
  const places = arrangeNames([at(48, 100), at(52, 100)], { left: 0, right: 100, letters: 16 })
  expect(places.map(({ side, maxWidth }) => `${side} ${maxWidth}`)).toEqual(["right 52", "left 52"])
})

it("larger letters keep names further apart, above and beside", () => {
  const large = { ...edges, letters: 32 }
  const apart = [at(10, 100), at(150, 100)]
  expect(heights(arrangeNames(apart, edges))).toEqual(["above 0", "above 0"])
  expect(heights(arrangeNames(apart, large))).toEqual(["above 0", "below 0"])
  expect(heights(arrangeNames([at(10, 30)], edges))).toEqual(["above 0"])
  expect(heights(arrangeNames([at(10, 30)], large))).toEqual(["below 0"])
  const gaps = arrangeNames([at(10, 100), at(10, 100), at(10, 100)], large).map(({ gap }) => gap)
  expect(gaps).toEqual([0, 0, 36])
})
