import { expect, test } from "vitest"
import { createConflictLog, type ResolvedConflict } from "./conflict-log.ts"

const conflict = (n: number, losers: number): ResolvedConflict => ({
  key: `k${n}`,
  merged: { id: `k${n}`, _deleted: false },
  writes: Array.from({ length: losers + 1 }, (_, at) => ({
    document: { id: `k${n}`, text: `${at}`, _deleted: false },
    writtenAt: at,
    lost: at < losers,
  })),
  at: n,
})

test("keeps the last hundred losers, and tells every conflict", () => {
  const log = createConflictLog()
  const told: string[] = []
  log.conflicts$.subscribe(({ key }) => told.push(key))
  for (let n = 0; n < 70; n++) log.add(conflict(n, 2))
  log.add(conflict(70, 0))
  expect(told).toHaveLength(71)
  const kept = log.recent()
  expect(kept.flatMap(({ writes }) => writes.filter(({ lost }) => lost))).toHaveLength(100)
  expect(kept[0]?.key).toBe("k20")
  expect(kept.at(-1)?.key).toBe("k69")
})

test("keeps a conflict with more losers than that, since it is the last", () => {
  const log = createConflictLog()
  log.add(conflict(0, 1))
  log.add(conflict(1, 150))
  expect(log.recent().map(({ key }) => key)).toEqual(["k1"])
})
