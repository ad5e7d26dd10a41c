import { createElement } from "react"
import { renderToStaticMarkup } from "react-dom/server"
import { expect, it } from "vitest"
import { Avatars } from "./avatars.tsx"

const people = ["Ada Lovelace", "Ben", "Carl", "Dora"].map((name, hue) => ({ session: name, name, hue }))

/** The letters in the circles. */
const circles = (most: number): readonly string[] =>
  [...renderToStaticMarkup(createElement(Avatars, { people, most })).matchAll(/>([^<]+)<\/span>/g)].map(
    ([, text]) => text ?? "",
  )

it("draws as many as there is room for, and counts the others", () => {
  expect(circles(4)).toEqual(["AL", "B", "C", "D"])
  expect(circles(2)).toEqual(["AL", "B", "+2"])
})
