import { expect, it } from "vitest"

import { arrangeNames, type NamePlace } from "./caret-names.ts"

const at = (left: number, top: number, name = "Bartholomew") => ({ spot: { left, top, height: 20 }, name })

const heights = (places: readonly NamePlace[]): readonly string[] =>
  places.map(({ where, level }) => `${where} ${level}`)

it("one name stands above its caret, on the side where there is room", () => {
  expect(arrangeNames([at(10, 100)], 200)).toEqual([{ where: "above", side: "right", level: 0 }])
  expect(arrangeNames([at(300, 100)], 200)).toEqual([{ where: "above", side: "left", level: 0 }])
  expect(arrangeNames([at(10, 4)], 200)).toEqual([{ where: "below", side: "right", level: 0 }])
})

it("names at one place stand above, below and further away", () => {
  const places = arrangeNames([at(10, 100), at(12, 100), at(14, 100), at(16, 100)], 200)
  expect(heights(places)).toEqual(["above 0", "below 0", "above 1", "below 1"])
})

it("a name below one line and a name above the next do not meet", () => {
  const places = arrangeNames([at(10, 4), at(10, 40)], 200)
  expect(heights(places)).toEqual(["below 0", "below 0"])
})

it("names that are apart, or empty, leave each other in place", () => {
  const places = arrangeNames([at(10, 100), at(150, 100), at(10, 160), at(10, 100, "")], 200)
  expect(heights(places.slice(0, 3))).toEqual(["above 0", "above 0", "above 0"])
  expect(arrangeNames([at(10, 100, ""), at(10, 100)], 200)[1]).toMatchObject({ where: "above", level: 0 })
})

it("of more carets at one place than there are levels the others have their names nearest, over the first", () => {
  const places = arrangeNames(
    Array.from({ length: 20 }, () => at(10, 200)),
    200,
  )
  expect(new Set(heights(places.slice(0, 8))).size).toBe(8)
  expect(heights(places.slice(8))).toEqual(Array(12).fill("above 0"))
})
