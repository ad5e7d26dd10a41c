import { afterAll, beforeAll, expect, test } from "vitest"
import { runCrashCycles } from "../rxdb/crash-cycles.ts"
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
