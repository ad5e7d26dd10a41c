import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Harness } from "../browser/harness.ts"
import type { TestSite } from "../browser/harness/test-site.ts"

type Page = typeof import("./loro-page.ts")

export interface CrashReport {
  /** Words whose `saved()` had resolved. */
  readonly acknowledged: number
  /** Of them, those that were not there when the browser was started again, and what the replica complained about. */
  readonly lost: readonly string[]
}

export interface CrashOptions {
  readonly kills: number
  readonly progress?: (kills: number) => void
}

/** Kills a browser whose page writes to an IndexedDB store in the middle of writes and compactions, again and again. */
export async function crashBrowsers(
  harness: Harness,
  site: TestSite,
  { kills, progress }: CrashOptions,
): Promise<CrashReport> {
  const folder = await mkdtemp(join(tmpdir(), "dunlin-killed-"))
  const words = new Set<string>()
  const lost: string[] = []
  try {
    for (let round = 0; round <= kills; round++) {
      const profile = await harness.chromium({ profile: folder })
      const tab = await profile.open<Page>(site)
      await tab.call("start", { store: "killed" })
      await tab.call("open", "x")
      const found = new Set((await tab.call("read", "x")).trim().split(" "))
      for (const word of words) if (!found.has(word)) lost.push(`${word} after ${round} kills`)
      lost.push(...(await tab.call("reported")))
      if (round === kills) {
        await profile.close()
        break
      }
      await tab.call("typeForEver", "x", `r${round}-`, 5)
      await new Promise((resolve) => setTimeout(resolve, 900 + ((round * 330) % 1_400)))
      for (const word of await tab.call("typed")) words.add(word)
      await profile.kill()
      progress?.(round + 1)
    }
    return { acknowledged: words.size, lost }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
