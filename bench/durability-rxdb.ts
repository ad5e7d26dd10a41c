// `npm run durability -- rxdb`: Chromium killed 200 times in the middle of writes on Dexie storage.
import { createHarness } from "../e2e/browser/harness.ts"
import { runCrashCycles } from "../e2e/rxdb/crash-cycles.ts"
import type { SuiteOptions } from "./run-suite.ts"

export async function run({ quick }: SuiteOptions): Promise<void> {
  const cycles = quick ? 20 : 200
  const harness = createHarness()
  try {
    const site = await harness.site(new URL("../e2e/rxdb/crash-page.ts", import.meta.url))
    const report = await runCrashCycles(harness, site, {
      cycles,
      progress: (cycle) => {
        if (cycle % 20 === 0) console.log(`${cycle} of ${cycles} kills`)
      },
    })
    console.log(
      `${report.cycles} kills, ${report.acknowledged} acknowledged inserts, ${report.lost.length} lost, ${report.equal ? "equal" : "DIVERGED"}`,
    )
    // Not the collection's fault, but worth knowing: the browser had deleted its databases.
    for (const what of report.forgotten) console.log(`forgotten by the browser itself: ${what}`)
    if (report.lost.length > 0 || !report.equal)
      throw new Error(`lost: ${report.lost.slice(0, 20).join(", ")}`)
  } finally {
    await harness.close()
  }
}
