import { expect, test } from "vitest"
import { crashLmdbWriters } from "./lmdb-crashes.ts"

test("a process killed in the middle of writes and compactions loses nothing it acknowledged", async () => {
  const report = await crashLmdbWriters({ kills: 8 })
  expect(report.lost).toEqual([])
  expect(report.acknowledged).toBeGreaterThan(150)
})
