import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { createWantedTable } from "./wanted-table.ts"

describe("a wanted entry", () => {
  test("is asked of one link only, however many hold it", () => {
    const table = createWantedTable()
    expect(["a", "b", "c", "a"].map((link) => table.add("p", link, 0))).toEqual([true, false, false, true])
    expect(table.due(0)).toEqual([{ position: "p", link: "a" }])
    expect(table.due(3_999)).toEqual([])
    expect([table.pending("a"), table.pending("b")]).toEqual([1, 0])
  })

  test("is not asked for before its time, and sooner when a later source is sooner", () => {
    const table = createWantedTable()
    table.add("p", "a", 500)
    expect(table.due(499)).toEqual([])
    table.add("p", "b", 100)
    expect(table.due(99)).toEqual([])
    expect(table.due(100)).toEqual([{ position: "p", link: "a" }])
  })

  test("is asked of the next link when the first does not answer, and given up after four", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.add("p", "b", 0)
    const asked: string[] = []
    for (let now = 0; now < 60_000; now += 1_000) for (const { link } of table.due(now)) asked.push(link)
    expect(asked).toEqual(["a", "b", "a", "b"])
    expect([table.size, table.pending("a"), table.pending("b")]).toEqual([0, 0, 0])
  })

  test("is asked of another link while the first is full, and waits if there is only one", () => {
    const table = createWantedTable()
    const isFull = (link: string): boolean => link === "a"
    table.add("p", "a", 0)
    table.add("p", "b", 0)
    table.add("q", "a", 0)
    const asked = Array.from({ length: 100 }, (_, at) =>
      table.due(at * 1_000, () => at * 1_000, isFull),
    ).flat()
    expect(asked).toEqual([
      { position: "p", link: "b" },
      { position: "p", link: "b" },
    ])
    expect([table.pending("a"), table.pending("b")]).toEqual([1, 1])
    expect(table.due(100_000)).toContainEqual({ position: "q", link: "a" })
  })

  test("is waited for while its link brings entries, but not for ever", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.add("p", "b", 0)
    const asked: [number, string][] = []
    let heardAt = 0
    for (let now = 0; now < 100_000; now += 1_000) {
      if (now < 30_000 || now > 35_000) heardAt = now
      for (const { link } of table.due(now, () => heardAt)) asked.push([now, link])
    }
    // The first fell silent at 29 s; the second brings everything but this entry.
    expect(asked).toEqual([
      [0, "a"],
      [33_000, "b"],
      [93_000, "a"],
    ])
  })

  test("is asked once of the only link that has it, and given up when that brings nothing", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    let asked = 0
    for (let now = 0; now < 200_000; now += 1_000) {
      // One message every ten seconds.
      asked += table.due(now, () => Math.min(100_000, now - (now % 10_000))).length
      expect(table.size).toBe(now < 116_000 ? 1 : 0)
    }
    expect(asked).toBe(1)
  })

  test("is given up after half an hour by the only link that has it and brings everything else", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.due(0)
    expect(table.due(1_799_999, (): number => 1_799_999)).toEqual([])
    expect(table.size).toBe(1)
    expect(table.due(1_800_000, (): number => 1_800_000)).toEqual([])
    expect(table.size).toBe(0)
  })

  test("is asked of a link that comes to have it later, however many others say so and never bring it", () => {
    const table = createWantedTable()
    const liars = Array.from({ length: 12 }, (_, n) => `liar ${n}`)
    for (const link of liars) table.add("p", link, 0, new Uint8Array(8))
    expect(table.due(0)).toHaveLength(1)
    table.add("p", "honest", 1_000)
    for (const link of liars) table.add("p", link, 2_000, new Uint8Array(8))
    expect(table.due(4_000)).toEqual([{ position: "p", link: "honest" }])
  })

  test("that a link does not bring is asked of the next at once, and given up with the last", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.add("p", "b", 0)
    expect(table.due(0)).toEqual([{ position: "p", link: "a" }])
    table.dropLink("a", 1, ["p"])
    expect([table.pending("a"), table.pending("b")]).toEqual([0, 1])
    expect(table.due(1)).toEqual([{ position: "p", link: "b" }])
    table.dropLink("unknown", 2, ["p"])
    table.dropLink("b", 2, ["q"])
    expect(table.size).toBe(1)
    table.dropLink("b", 2, ["p"])
    expect([table.size, table.pending("b")]).toEqual([0, 0])
  })

  test("found by a comparison at a link that does not bring it is reported", () => {
    const told: string[] = []
    const table = createWantedTable((position, link) => void told.push(`${position} at ${link}`))
    table.add("p", "a", 0)
    table.add("p", "b", 0)
    table.add("announced", "a", 0, new Uint8Array(8))
    table.due(0)
    expect(told).toEqual([])
    table.due(4_000)
    expect(told).toEqual(["p at a"])
    table.add("q", "a", 4_000)
    table.due(4_000)
    table.dropLink("a", 4_000, ["announced", "q"])
    expect(told).toEqual(["p at a", "q at a"])
  })

  test("is asked of another link soon, even if that came to have it later", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.due(0)
    expect(table.due(5_000)).toEqual([])
    table.add("p", "b", 5_000)
    expect(table.due(5_001)).toEqual([{ position: "p", link: "b" }])
  })

  test("is no longer pending once it came", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.due(0)
    table.resolve("p")
    table.resolve("p")
    expect([table.size, table.pending("a")]).toEqual([0, 0])
  })

  test("is still asked of the link at which a comparison found it, whatever another link brings", () => {
    const table = createWantedTable()
    const [known, other] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)]
    table.add("p", "a", 500)
    table.came("p", "b", other)
    expect(table.due(500)).toEqual([{ position: "p", link: "a" }])
    table.came("p", "b", other)
    expect(table.pending("a")).toBe(1)
    table.came("p", "a", other)
    expect([table.size, table.pending("a")]).toEqual([0, 0])
    // Another link holds it, too, and answers with something else.
    table.add("q", "a", 500)
    table.add("q", "b", 500, known)
    table.due(500)
    table.due(4_500)
    table.came("q", "b", known)
    expect([table.pending("a"), table.pending("b")]).toEqual([1, 0])
    expect(table.due(4_600)).toEqual([{ position: "q", link: "a" }])
    table.dropLink("a", 4_700)
    expect(table.size).toBe(0)
    // What others only announced may come from anybody.
    table.add("r", "a", 500, known)
    table.came("r", "b", other)
    expect(table.size).toBe(0)
  })

  test("is still asked of a link that announced another state than the others hold", () => {
    const table = createWantedTable()
    const [here, newer] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)]
    table.add("p", "a", 500, newer)
    table.came("p", "b", here, false)
    expect(table.due(500)).toEqual([{ position: "p", link: "a" }])
    table.came("p", "b", here, false)
    expect(table.pending("a")).toBe(1)
    table.came("p", "a", here, false)
    expect([table.size, table.pending("a")]).toEqual([0, 0])
    // What a comparison found comes first.
    table.add("q", "b", 500, newer)
    table.add("q", "a", 500)
    table.came("q", "b", here, false)
    expect([table.pending("a"), table.pending("b")]).toEqual([1, 0])
  })

  test("is asked of the next at once when its link goes, and forgotten with the last", () => {
    const table = createWantedTable()
    table.add("p", "a", 0)
    table.add("p", "b", 0)
    table.due(0)
    table.dropLink("a", 10)
    expect(table.due(10)).toEqual([{ position: "p", link: "b" }])
    table.dropLink("b", 20)
    expect(table.size).toBe(0)
  })

  test("is no longer wanted once it is here in the state that all links offered", () => {
    const table = createWantedTable()
    const [known, other] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)]
    const whole = new Uint8Array(16).fill(1)
    table.add("p", "a", 500, known)
    table.add("p", "b", 500, known)
    table.holds("p", new Uint8Array(16).fill(3))
    expect(table.size).toBe(1)
    table.holds("p", whole)
    expect([table.size, table.pending("a"), table.pending("b")]).toEqual([0, 0, 0])
    // One of these may be newer than what is here.
    table.add("p", "a", 500, known)
    table.add("p", "b", 500, other)
    table.add("q", "a", 500, known)
    table.add("q", "b", 500)
    for (const position of ["p", "q"]) table.holds(position, whole)
    expect(table.size).toBe(2)
  })
})

describe("the table", () => {
  test("takes no more than its share", () => {
    const table = createWantedTable()
    for (let n = 0; n < 8_192; n++) expect(table.add(`p${n}`, "a", 0)).toBe(true)
    expect(table.add("one more", "a", 0)).toBe(false)
    expect(table.add("p1", "a", 0)).toBe(true)
    expect(table.size).toBe(8_192)
    // However much one link makes up, others are still heard.
    expect(table.add("one more", "b", 0)).toBe(true)
  })

  test("keeps places for each link, however many entries the others invent", () => {
    const table = createWantedTable()
    for (const link of ["a", "b", "c", "d"]) for (let n = 0; n < 8_192; n++) table.add(`${link}${n}`, link, 0)
    expect(table.size).toBe(32_768)
    for (let n = 0; n < 512; n++) expect(table.add(`e${n}`, "e", 0)).toBe(true)
    expect([table.add("one more", "e", 0), table.add("one more", "a", 0)]).toEqual([false, false])
    expect(table.due(0).filter(({ link }) => link === "e")).toHaveLength(512)
  })

  test("counts for each link what is pending, through anything that happens", () => {
    const link = fc.constantFrom("a", "b", "c")
    const position = fc.constantFrom("p", "q", "r", "s")
    const step = fc.oneof(
      fc.record({ do: fc.constant("add" as const), position, link }),
      fc.record({ do: fc.constant("resolve" as const), position, link }),
      fc.record({ do: fc.constant("drop" as const), position, link }),
      fc.record({ do: fc.constant("came" as const), position, link }),
      fc.record({ do: fc.constant("shown" as const), position, link }),
      fc.record({ do: fc.constant("heard" as const), position, link }),
      fc.record({ do: fc.constant("due" as const), position, link }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = createWantedTable()
        let now = 0
        for (const taken of steps) {
          now += 1_500
          if (taken.do === "add") table.add(taken.position, taken.link, now)
          else if (taken.do === "heard") table.add(taken.position, taken.link, now, new Uint8Array(8))
          else if (taken.do === "shown")
            table.came(taken.position, taken.link, new Uint8Array(8).fill(2), false)
          else if (taken.do === "came") table.came(taken.position, taken.link, new Uint8Array(8).fill(1))
          else if (taken.do === "resolve") table.resolve(taken.position)
          else if (taken.do === "drop") table.dropLink(taken.link, now)
          else table.due(now)
          const pending = ["a", "b", "c"].reduce((sum, name) => sum + table.pending(name), 0)
          expect(pending).toBe(table.size)
        }
      }),
    )
  })
})
