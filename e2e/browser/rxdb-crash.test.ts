import { afterAll, beforeAll, expect, test } from "vitest"
import { runCrashCycles } from "../rxdb/crash-cycles.ts"
import { tearLog } from "../rxdb/torn-log.ts"
import { createHarness, type Harness } from "./harness.ts"
import type { TestSite } from "./harness/test-site.ts"

let harness: Harness
let site: TestSite
beforeAll(async () => {
  harness = createHarness()
  site = await harness.site(new URL("../rxdb/crash-page.ts", import.meta.url))
})
afterAll(() => harness.close())

test("a browser killed ten times in the middle of writes loses nothing it acknowledged, and diverges from nobody", async () => {
  const report = await runCrashCycles(harness, site, { cycles: 10 })
  expect(report).toMatchObject({ lost: [], different: [], equal: true })
  expect(report.acknowledged).toBeGreaterThan(20)
})

test("a browser that finds its own log torn, and begins with nothing, gets back what its peer holds", async () => {
  const report = await runCrashCycles(harness, site, {
    cycles: 3,
    killed: async (kills, profile) => {
      if (kills === 1) await tearLog(profile)
    },
  })
  expect(report.forgotten).toHaveLength(1)
  expect(report).toMatchObject({ lost: [], different: [], equal: true })
  expect(report.acknowledged).toBeGreaterThan(0)
})
