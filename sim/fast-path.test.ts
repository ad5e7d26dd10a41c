import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"
import { beforeAll, expect, test } from "vitest"
import { type FastPathResult, type MeetingFault, runFastPath } from "./fast-path.ts"
import type { Mutation } from "./planted-bug.ts"
import { mutating } from "./seeds.ts"

const SEEDS = 30

/** What an engine that took the last common root for the truth would do. */
const trustingTheLastCommonRoot: Mutation = {
  file: "room/link-replica.ts",
  find: 'if (!hasRun && phase !== "live") {',
  replace: `if (!hasRun && phase !== "live" && shared.history.basisFor(options.device) !== null) {
      excused = difference
      finish(false)
      sendRoot({ answer: false, agreed: true })
      return
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

test("a known pair with a few changes needs one round trip after saying hello, and compares no ranges", () => {
  const usual = results.flatMap(({ meetings }) => {
    // Once there is a clone, the peer may remember what it had in common with that.
    const clonedAt = meetings.findIndex(({ fault }) => fault === "cloned")
    const known = clonedAt < 0 ? meetings : meetings.slice(0, clonedAt)
    return known.slice(1).filter(({ fault, differences }) => fault === "none" && differences > 0)
  })
  expect(usual.length).toBeGreaterThan(20)
  // The announcement, what is newer, what is wanted of it, the entries.
  for (const { trips, reconciled } of usual)
    expect({ trips, reconciled }).toEqual({ trips: 4, reconciled: false })
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
