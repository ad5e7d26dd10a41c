import { describe, expect, it } from "vitest"
import { readDocument, readTask } from "./entries.ts"
import { searchWorkspace } from "./search.ts"

const documents = [
  readDocument({ id: "a", title: "Tide tables", tags: ["field"], updated: 1 }),
  readDocument({ id: "b", title: "Budget", updated: 2 }),
  readDocument({ id: "c", title: "Old tide notes", archived: true, updated: 3 }),
]
const tasks = [readTask({ id: "t", title: "Order tide gauge", note: "ask Ada", rank: "a0" })]
const bodies = new Map([["b", "Fuel\n\nThe spring TIDE costs us a day of counting."]])

describe("searchWorkspace", () => {
  it("finds titles, bodies, tags and tasks; titles first, archived last", () => {
    const ids = searchWorkspace({ documents, tasks, bodies }, "tide").map((hit) =>
      hit.type === "document" ? hit.document.id : hit.task.id,
    )
    expect(ids).toEqual(["a", "t", "b", "c"])
  })

  it("wants every word and points at the match", () => {
    const hits = searchWorkspace({ documents, tasks, bodies }, "counting tide")
    expect(hits).toHaveLength(1)
    expect(hits[0]?.excerpt?.match).toBe("counting")
    expect(searchWorkspace({ documents, tasks, bodies }, "tide walrus")).toEqual([])
    expect(searchWorkspace({ documents, tasks, bodies }, "   ")).toEqual([])
  })

  it("shows the words around a match without marks of Markdown", () => {
    const body =
      "# Winter\n\n- Count on the **rising tide**\n\n| Day | Low |\n| --- | --- |\n| Fri | `06:31` |\n"
    const [hit] = searchWorkspace({ documents, tasks: [], bodies: new Map([["b", body]]) }, "rising")
    expect(hit?.excerpt).toEqual({
      before: "Winter Count on the ",
      match: "rising",
      after: " tide Day Low Fri 06:31 ",
    })
  })

  it("leaves out the line that aligns the columns of a table", () => {
    const note = "| Sector | Knot |\n| :--- | ---: |\n| North | 310 |"
    const hits = searchWorkspace({ documents: [], tasks: [readTask({ id: "n", note })], bodies }, "knot")
    expect(hits[0]?.excerpt?.after).toBe(" North 310 ")
  })

  it("leaves no gap where a mark was", () => {
    const note = "Counts are best on the rising **tide**, when `dunlin` come in."
    const hits = searchWorkspace({ documents: [], tasks: [readTask({ id: "n", note })], bodies }, "rising")
    expect(hits[0]?.excerpt?.after).toBe(" tide, when dunlin come in.")
  })

  it("begins a piece of text with a whole word, close before the match", () => {
    const note = "Fifteen observers stood along the northern channel and saw a curlew"
    const hits = searchWorkspace({ documents: [], tasks: [readTask({ id: "n", note })], bodies }, "curlew")
    expect(hits[0]?.excerpt?.before).toBe("…channel and saw a ")
  })

  it("finds the one among a thousand documents and five thousand tasks", () => {
    const many = Array.from({ length: 1_000 }, (_, index) =>
      readDocument({ id: `d${index}`, title: `Paper ${index}` }),
    )
    const texts = new Map(many.map(({ id }) => [id, `${"lorem ipsum dolor ".repeat(300)} needle ${id}`]))
    const list = Array.from({ length: 5_000 }, (_, index) =>
      readTask({ id: `t${index}`, title: `Task ${index}` }),
    )
    expect(searchWorkspace({ documents: many, tasks: list, bodies: texts }, "needle d777")).toHaveLength(1)
  })
})
