import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"
import { beforeAll, expect, test } from "vitest"
import {
  type FastPathResult,
  type MeetingFault,
  runFastPath,
  runHomecoming,
  runReunion,
} from "./fast-path.ts"
import type { Mutation } from "./planted-bug.ts"
import { mutating } from "./seeds.ts"

const SEEDS = 30

/** What an engine that trusted the last common root would do. */
const trustingTheLastCommonRoot: Mutation = {
  file: "room/link-replica.ts",
  find: 'if (!hasRun && phase !== "live") {',
  replace: `if (!hasRun && phase !== "live" && shared.history.basisFor(options.device) !== null) {
      excused = difference
      return agree()
    }
    if (!hasRun && phase !== "live") {`,
}

const results: FastPathResult[] = []
beforeAll(async () => {
  for (let seed = 0; seed < SEEDS; seed++) results.push(await runFastPath(seed))
})

test("devices that are rolled back, wiped and cloned while a peer remembers a common root lose nothing", () => {
  const failures = results.flatMap(({ failure }, seed) =>
    failure === null ? [] : [`seed ${seed}: ${failure}`],
  )
  const meetings = results.flatMap((result) => result.meetings.slice(1))
  expect(failures).toEqual([])
  const remembered = meetings.filter((meeting) => meeting.remembered)
  const counts = (fault: MeetingFault): number =>
    remembered.filter((meeting) => meeting.fault === fault && meeting.differences > 0).length
  for (const fault of ["none", "rolled-back", "wiped", "cloned"] as const)
    expect(counts(fault), fault).toBeGreaterThan(20)
  // A device that lost its memory with its process has no common root to go by, and is compared.
  for (const { fault, reconciled, differences } of remembered) {
    if ((fault === "rolled-back" || fault === "wiped") && differences > 0) expect(reconciled).toBe(true)
  }
})

test("a known pair with a few changes needs one round trip, and compares no ranges", () => {
  const usual = results.flatMap(({ meetings }) => {
    // Once there is a clone, the peer may remember what it had in common with that.
    const clonedAt = meetings.findIndex(({ fault }) => fault === "cloned")
    const known = clonedAt < 0 ? meetings : meetings.slice(0, clonedAt)
    return known.slice(1).filter(({ fault, differences }) => fault === "none" && differences > 0)
  })
  expect(usual.length).toBeGreaterThan(20)
  // One trip for the announcement, one for the entries.
  for (const { trips, reconciled } of usual)
    expect({ trips, reconciled }).toEqual({ trips: 2, reconciled: false })
})

test.each([
  { entries: 1, by: "one" },
  { entries: 10, by: "one" },
  { entries: 100, by: "one" },
  { entries: 1, by: "both" },
  { entries: 10, by: "both" },
  { entries: 100, by: "both" },
] as const)("$entries entries, changed by $by, take one round trip and travel once", async (parting) => {
  const { entries, by } = parting
  const { syncedTrips, ...reunion } = await runReunion({ ...parting, length: 100 })
  const sent = entries * (by === "one" ? 1 : 2)
  expect(reunion).toEqual({ trips: 2, reconciled: false, sent: { offer: 0, want: 0, entries: sent } })
  // Entries are acknowledged first, then both sides compare what they hold.
  expect(syncedTrips).toBeGreaterThanOrEqual(3)
  expect(syncedTrips).toBeLessThanOrEqual(6)
})

test("entries that are long or many are offered before they are sent", async () => {
  const long = await runReunion({ entries: 3, by: "one", length: 20_000 })
  expect(long).toMatchObject({ trips: 4, reconciled: false, sent: { offer: 3, want: 3, entries: 3 } })
  const many = await runReunion({ entries: 300, by: "one", length: 10 })
  expect(many).toMatchObject({ trips: 4, reconciled: false, sent: { offer: 300, want: 300, entries: 300 } })
  // As much as fits one message goes at once.
  const much = await runReunion({ entries: 100, by: "one", length: 1_000 })
  expect(much).toMatchObject({ trips: 4, reconciled: false, sent: { entries: 100 } })
  expect(much.sent.offer).toBeGreaterThan(30)
  expect(much.sent.offer).toBeLessThan(50)
})

test("a device that comes back to a room gets each new entry once", async () => {
  expect(await runHomecoming(2, 20)).toEqual({ trips: 2, copies: 1 })
  expect(await runHomecoming(5, 100)).toEqual({ trips: 2, copies: 1 })
  expect(await runHomecoming(5, 300)).toEqual({ trips: 4, copies: 1 })
})

test("an engine that trusts the last common root is caught", async () => {
  const folder = await mkdtemp(join(tmpdir(), "dunlin-fast-path-"))
  try {
    const outfile = join(folder, "fast-path.mjs")
    await build({
      entryPoints: [fileURLToPath(new URL("fast-path.ts", import.meta.url))],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      conditions: ["@dunlin/source"],
      logLevel: "error",
      plugins: [mutating(trustingTheLastCommonRoot)],
    })
    const mutant = (await import(pathToFileURL(outfile).href)) as { runFastPath: typeof runFastPath }
    const failures: string[] = []
    for (let seed = 0; seed < SEEDS && failures.length === 0; seed++) {
      const { failure } = await mutant.runFastPath(seed)
      if (failure !== null) failures.push(failure)
    }
    expect(failures).not.toEqual([])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
