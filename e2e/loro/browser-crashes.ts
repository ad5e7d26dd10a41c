import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Harness } from "../browser/harness.ts"
import type { TestSite } from "../browser/harness/test-site.ts"
import { isEarlier, type WitnessedWrite } from "../crash-witness.ts"

type Page = typeof import("./loro-page.ts")

export interface CrashReport {
  /** Words whose `saved()` had resolved. */
  readonly acknowledged: number
  /** Acknowledged words that were missing after the browser's restart, and what the replica complained about. */
  readonly lost: readonly string[]
  /** Kills after which the browser had lost what it had itself committed, and with that everything. */
  readonly forgotten: readonly string[]
}

export interface CrashOptions {
  readonly kills: number
  readonly progress?: (kills: number) => void
}

/** Repeatedly kills a browser while its page writes to an IndexedDB store and compacts it. */
export async function crashBrowsers(
  harness: Harness,
  site: TestSite,
  { kills, progress }: CrashOptions,
): Promise<CrashReport> {
  const folder = await mkdtemp(join(tmpdir(), "dunlin-killed-"))
  const words = new Set<string>()
  let acknowledged = 0
  let witnessed: WitnessedWrite | null = null
  const lost: string[] = []
  const forgotten: string[] = []
  try {
    for (let round = 0; round <= kills; round++) {
      const profile = await harness.chromium({ profile: folder })
      const tab = await profile.open<Page>(site)
      await tab.call("start", { store: "killed" })
      await tab.call("open", "x")
      const remembered = await tab.call("remember")
      if (witnessed !== null && isEarlier(remembered, witnessed)) {
        forgotten.push(`${JSON.stringify(remembered)} of ${JSON.stringify(witnessed)} after ${round} kills`)
        witnessed = remembered
        words.clear()
      }
      const found = new Set((await tab.call("read", "x")).trim().split(" "))
      for (const word of words) if (!found.has(word)) lost.push(`${word} after ${round} kills`)
      lost.push(...(await tab.call("reported")))
      if (round === kills) {
        await profile.close()
        break
      }
      await tab.call("typeForEver", "x", `r${round}-`, 5, round)
      await new Promise((resolve) => setTimeout(resolve, 900 + ((round * 330) % 1_400)))
      const typed = await tab.call("typed")
      for (const word of typed) words.add(word)
      acknowledged += typed.length
      witnessed = (await tab.call("lastWitnessed")) ?? witnessed
      await profile.kill()
      progress?.(round + 1)
    }
    return { acknowledged, lost, forgotten }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
