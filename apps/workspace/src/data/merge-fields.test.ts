import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  findClashes,
  findOverwritten,
  mergeRows,
  recordEdits,
  type FieldEdits,
  type MergeableRow,
} from "./merge-fields.ts"

interface Row extends MergeableRow {
  readonly column: string
  readonly rank: string
}

const GROUPS = { title: ["title"], place: ["column", "rank"] } as const
const ada = { id: "a1", name: "Ada" }
const ben = { id: "b1", name: "Ben" }

const base: Row = {
  id: "t",
  title: "Count birds",
  column: "todo",
  rank: "a0",
  created: 1,
  updated: 1,
  editor: "Ada",
  edits: recordEdits({}, ["title", "place"], ada, 100),
}

function write(row: Row, fields: Partial<Row>, group: string, author: typeof ada, now: number): Row {
  return {
    ...row,
    ...fields,
    updated: now,
    editor: author.name,
    edits: recordEdits(row.edits, [group], author, now),
  }
}

describe("field-wise merge", () => {
  it("keeps concurrent edits of different fields", () => {
    const one = write(base, { title: "Count waders" }, "title", ada, 200)
    const two = write(base, { column: "doing", rank: "a1" }, "place", ben, 150)
    const merged = mergeRows(one, two, GROUPS)
    expect(merged).toMatchObject({ title: "Count waders", column: "doing", rank: "a1" })
    expect(mergeRows(two, one, GROUPS)).toEqual(merged)
    expect(findClashes(one, two, GROUPS)).toEqual([])
  })

  it("names both values and both people when one field was changed twice", () => {
    const one = write(base, { title: "Count waders" }, "title", ada, 200)
    const two = write(base, { title: "Count gulls" }, "title", ben, 300)
    expect(mergeRows(one, two, GROUPS).title).toBe("Count gulls")
    expect(findClashes(one, two, GROUPS)).toEqual([
      { target: "t", title: "Count gulls", field: "title", kept: "Count gulls", keptBy: "Ben", lost: "Count waders", lostBy: "Ada" },
    ]) // prettier-ignore
  })

  it("sees no clash where one author had read the other's value", () => {
    const one = write(base, { title: "Count waders" }, "title", ada, 200)
    const two = write(one, { title: "Count gulls" }, "title", ben, 300)
    const three = write(two, { title: "Count gulls and terns" }, "title", ben, 400)
    expect(findClashes(one, three, GROUPS)).toEqual([])
  })

  it("lets an edit made on a device that is a day behind replace what it saw", () => {
    const day = 86_400_000
    const one = write(base, { title: "Count waders" }, "title", ada, 10 * day)
    const late = write(one, { title: "Count gulls" }, "title", ben, 9 * day)
    expect(mergeRows(one, late, GROUPS).title).toBe("Count gulls")
  })

  it("names what a write replaces although its author had not seen it", () => {
    const theirs = write(base, { title: "Count gulls" }, "title", ben, 200)
    const mine = write(theirs, { title: "Count waders" }, "title", ada, 300)
    const overwritten = (seen: Partial<Row>) => findOverwritten(theirs, mine, seen, GROUPS)
    expect(overwritten({ title: "Count birds" })).toMatchObject([
      { field: "title", kept: "Count waders", keptBy: "Ada", lost: "Count gulls", lostBy: "Ben" },
    ])
    expect(overwritten({ title: "Count gulls" })).toEqual([])
    expect(overwritten({})).toEqual([])
    // What the same person wrote, in another tab, is no loss.
    const own = write(base, { title: "Count gulls" }, "title", ada, 200)
    const again = write(own, { title: "Count waders" }, "title", ada, 300)
    expect(findOverwritten(own, again, { title: "Count birds" }, GROUPS)).toEqual([])
  })

  it("prefers a change to a deletion", () => {
    const edited = write(base, { title: "Count waders" }, "title", ada, 200)
    expect(mergeRows({ ...base, _deleted: true }, edited, GROUPS)).toBe(edited)
  })

  it("prefers a deletion that wins, whichever comes first", () => {
    const edited = write(base, { title: "Count waders" }, "title", ada, 200)
    const deleted = { ...base, _deleted: true }
    expect(mergeRows(deleted, edited, GROUPS, "wins")).toBe(deleted)
    expect(mergeRows(edited, deleted, GROUPS, "wins")).toBe(deleted)
  })

  it("is a join, whatever peers send", () => {
    const edit = fc.record({
      at: fc.nat(3),
      by: fc.constantFrom("a", "b"),
      who: fc.constant("x"),
      saw: fc.nat(3),
    })
    const row: fc.Arbitrary<Row> = fc.record({
      id: fc.constant("t"),
      title: fc.constantFrom("x", "y", "z"),
      column: fc.constantFrom("todo", "done"),
      rank: fc.constantFrom("a0", "a1"),
      created: fc.nat(3),
      updated: fc.nat(3),
      editor: fc.constantFrom("Ada", "Ben"),
      edits: fc.oneof(fc.record({ title: edit, place: edit }), fc.constant({} as FieldEdits)),
    })
    const content = ({ title, column, rank, created, updated, editor }: Row) => ({ title, column, rank, created, updated, editor }) // prettier-ignore
    fc.assert(
      fc.property(row, row, row, (a, b, c) => {
        expect(content(mergeRows(a, b, GROUPS))).toEqual(content(mergeRows(b, a, GROUPS)))
        expect(content(mergeRows(mergeRows(a, b, GROUPS), c, GROUPS))).toEqual(
          content(mergeRows(a, mergeRows(b, c, GROUPS), GROUPS)),
        )
        expect(content(mergeRows(a, a, GROUPS))).toEqual(content(a))
      }),
    )
  })
})
