import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { byRank, rankAt, rankBetween, ranksAfter } from "./rank.ts"

describe("ranks", () => {
  it("keeps any sequence of moves in the order that was asked for", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 60 }), (moves) => {
        let column = ranksAfter(null, 12).map((rank, index) => ({ id: `t${index}`, rank }))
        for (const [from, to] of moves) {
          const moved = column[from % column.length]!
          const index = to % column.length
          const expected = column.filter((task) => task !== moved)
          expected.splice(index, 0, moved)
          const rank = rankAt(column, moved.id, index)
          column = column.map((task) => (task === moved ? { ...task, rank } : task)).sort(byRank)
          expect(column.map((task) => task.id)).toEqual(expected.map((task) => task.id))
        }
      }),
    )
  })

  it("gives different ranks to two devices that insert at the same place", () => {
    const ranks = new Set(Array.from({ length: 50 }, () => rankBetween("a0", "a1")))
    expect(ranks.size).toBeGreaterThan(40)
    for (const rank of ranks) expect(rank > "a0" && rank < "a1").toBe(true)
  })

  it("survives neighbours whose rank is no key or is out of order", () => {
    expect(rankBetween("<script>", "\u0000")).toBeTypeOf("string")
    expect(rankBetween("a1", "a1") > "a1").toBe(true)
    expect(rankBetween("zz", "a0") > "zz").toBe(true)
  })
})
