import { describe, expect, it } from "vitest"
import { groupFound, groupUnasked, isCommandFor } from "./palette-groups.ts"

const found = Array.from({ length: 9 }, (_, index) => `found ${index + 1}`)

describe("groupFound", () => {
  it("puts what was found first, and commands where they are still seen", () => {
    const groups = groupFound(found, ["command"])
    expect(groups.map(({ name }) => name)).toEqual([
      "Documents and tasks",
      "Commands",
      "More documents and tasks",
    ])
    expect(groups[0]?.entries[0]).toBe("found 1")
    const all = groups.flatMap(({ entries }) => entries)
    expect(all.indexOf("command")).toBe(6)
    expect(all.filter((entry) => entry !== "command")).toEqual(found)
  })

  it("has no group without entries", () => {
    expect(groupFound(found, [])).toEqual([{ name: "Documents and tasks", entries: found }])
    expect(groupFound([], ["command"])).toEqual([{ name: "Commands", entries: ["command"] }])
    expect(groupFound([], [])).toEqual([])
  })
})

describe("groupUnasked", () => {
  it("begins with recent documents", () => {
    expect(groupUnasked(["document"], ["command"]).map(({ name }) => name)).toEqual([
      "Recent documents",
      "Commands",
    ])
  })
})

describe("isCommandFor", () => {
  const settings = { name: "Settings, export and import", also: "backup" }

  it.each(["set", "export", "import set", "BACK", "settings,", ""])("is found by “%s”", (query) => {
    expect(isCommandFor(settings, query)).toBe(true)
  })

  it.each(["port", "settings theme", "x"])("is not found by “%s”", (query) => {
    expect(isCommandFor(settings, query)).toBe(false)
  })
})
