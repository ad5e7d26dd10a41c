// The rows that run in browsers, where collections are on Dexie, which keeps them in IndexedDB.
import { createHarness, type Harness } from "../../e2e/browser/harness.ts"
import { quantile } from "../quantile.ts"
import type { Flock } from "./flock.ts"
import type { Measured } from "./rows.ts"

type Page = typeof import("./dexie-page.ts")
type Tab = Awaited<ReturnType<typeof openTab>>
type Site = Awaited<ReturnType<Harness["site"]>>

const PAUSE_MS = 25
/** Writes before the first that counts: code that is not compiled yet. */
const WARM_UP = 50

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * A profile with documents is there, an empty one comes: the time from its call to join to the last document stored, the
 * connection included. And that of the bulkInsert which filled the first profile.
 */
export async function browserSync(
  flock: Flock,
  { count, batchSize }: { readonly count: number; readonly batchSize: number | null },
): Promise<Measured> {
  return betweenProfiles(async (full, empty) => {
    const insertMs = await full.call("fill", count)
    const place = { engine: flock.engine, server: flock.server, topic: flock.topic(), batchSize }
    await full.call("join", place)
    await wait(1_500)
    await empty.call("longTasks")
    const began = await empty.call("join", place)
    const ms = (await empty.call("reached", count)) - began
    const tasks = await empty.call("longTasks")
    return { ms, insertMs, longestTaskMs: Math.max(0, ...tasks), longTasks: tasks.length }
  })
}

/** One insert after the other in one profile: the time from each to its event in the other. */
export async function browserLatency(flock: Flock, count: number): Promise<Measured> {
  return betweenProfiles(async (writer, reader) => {
    const place = { engine: flock.engine, server: flock.server, topic: flock.topic(), batchSize: null }
    await writer.call("join", place)
    await reader.call("join", place)
    await writer.call("fill", 1)
    await reader.call("reached", 1)
    for (let n = 0; n < WARM_UP + count; n++) {
      await writer.call("insertStamped", `timed-${n}`)
      await wait(PAUSE_MS)
    }
    await reader.call("reached", 1 + WARM_UP + count)
    const delays = (await reader.call("delaysOfEvents")).slice(WARM_UP)
    return { p50Ms: quantile(delays, 0.5), p95Ms: quantile(delays, 0.95), received: delays.length }
  })
}

/** Two new profiles of Chromium, a browser each. */
async function betweenProfiles(measure: (one: Tab, other: Tab) => Promise<Measured>): Promise<Measured> {
  await using harness = createHarness()
  const site = await harness.site(new URL("dexie-page.ts", import.meta.url))
  const [one, other] = [await openTab(harness, site), await openTab(harness, site)]
  await one.call("open")
  await other.call("open")
  return await measure(one, other)
}

async function openTab(harness: Harness, site: Site) {
  return (await harness.chromium()).open<Page>(site)
}
