// `npm run durability -- loro`: processes killed while they write to LMDB, browsers while they write to IndexedDB.
import { createHarness } from "../e2e/browser/harness.ts"
import { crashBrowsers } from "../e2e/loro/browser-crashes.ts"
import { crashLmdbWriters } from "../packages/loro/test/lmdb-crashes.ts"
import type { SuiteOptions } from "./run-suite.ts"

export async function run({ quick }: SuiteOptions): Promise<void> {
  const kills = quick ? 20 : 200
  const progress = (killed: number): void => {
    if (killed % 20 === 0) console.log(`${killed} of ${kills} kills`)
  }
  console.log("LMDB, every third time with durability strict")
  report(kills, await crashLmdbWriters({ kills, progress }))
  console.log("IndexedDB, Chromium")
  const harness = createHarness()
  try {
    const site = await harness.site(new URL("../e2e/loro/loro-page.ts", import.meta.url))
    const crashes = await crashBrowsers(harness, site, { kills, progress })
    // Not the store's fault, but worth knowing: the browser had deleted its databases.
    for (const what of crashes.forgotten) console.log(`forgotten by the browser itself: ${what}`)
    report(kills, crashes)
  } finally {
    await harness.close()
  }
}

function report(
  kills: number,
  { acknowledged, lost }: { readonly acknowledged: number; readonly lost: readonly string[] },
): void {
  console.log(`${kills} kills, ${acknowledged} acknowledged words, ${lost.length} lost`)
  if (lost.length > 0) throw new Error(`lost: ${lost.slice(0, 20).join(", ")}`)
}
