import { writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { printMeshTable } from "./mesh-table.ts"
import { PLANTED_BUGS } from "./planted-bugs.ts"
import { createScenario, type ScenarioLimits } from "./scenario.ts"
import { writeRegression } from "./regression.ts"
import { createScenarioRunner, rareFaults, runSeeds, seedRange } from "./seeds.ts"
import { shrink } from "./shrink.ts"
import { runSimulation } from "./simulation.ts"

/** A planted bug must be caught by one of this many seeds. */
const SEEDS_TO_CATCH = 300
/** A long run reports its progress after each of these many seeds. */
const SEEDS_A_LINE = 500

const USAGE = `npm run sim -- [options]
  --seeds N      run N seeds (default 1000)
  --from S       starting with this one (default 0)
  --seed S       replay one seed and print what happened; --frames prints every frame
  --shrink       with --seed: look for the smallest world that still fails, and keep it in sim/regressions;
                 with --bug as well: the smallest that fails with the bug
  --peers A-B    worlds of A to B peers (default 3-8)
  --workers N    (default: one a core)
  --bugs         plant each known bug and show which seed catches it; --bug NAME plants one
  mesh           rooms of many peers instead, as a table; npm run sim -- mesh --help`

const isMesh = process.argv[2] === "mesh"
const { values: options } = parseArgs({
  ...(isMesh && { args: [] }),
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "0" },
    seed: { type: "string" },
    frames: { type: "boolean", default: false },
    shrink: { type: "boolean", default: false },
    peers: { type: "string", default: "3-8" },
    workers: { type: "string" },
    bugs: { type: "boolean", default: false },
    bug: { type: "string" },
    help: { type: "boolean", default: false },
  },
})

if (isMesh) await printMeshTable(process.argv.slice(3))
else if (options.help) console.log(USAGE)
else if (options.seed !== undefined && options.shrink) await shrinkSeed(options.seed)
else if (options.seed !== undefined) await replay(options.seed)
else if (options.bugs) await plantBugs(PLANTED_BUGS.map(({ name }) => name))
else if (options.bug !== undefined) await plantBugs(options.bug.split(","))
else await runMany()

function limits(): ScenarioLimits {
  const [minPeers = 3, maxPeers = minPeers] = options.peers.split("-").map(Number)
  return { minPeers, maxPeers }
}

async function replay(seed: string): Promise<void> {
  const result = await runSimulation(createScenario(seed, limits()), {
    trace: (line) => console.log(line),
    frames: options.frames,
  })
  const { failure, messages, writes, convergedAfterMs, digest } = result
  console.log(failure === null ? "passed" : `failed: ${failure}`)
  console.log(`${writes} writes, ${messages} messages, equal after ${convergedAfterMs} ms, digest ${digest}`)
  if (failure !== null) process.exitCode = 1
}

async function shrinkSeed(seed: string): Promise<void> {
  const bug = options.bug ?? null
  const runner = await createScenarioRunner(bug)
  const { scenario, failure } = await shrink(
    createScenario(seed, limits()),
    async (candidate) => (await runner.run(candidate)).failure,
    (line) => console.log(line),
  ).finally(runner.close)
  if (failure === null) {
    console.log(`seed ${seed} does not fail`)
    return
  }
  const file = fileURLToPath(new URL(`regressions/${bug ?? `seed-${seed}`}.json`, import.meta.url))
  await writeFile(file, writeRegression({ bug, failure, scenario }))
  console.log(`${failure}\nkept as ${file}`)
  process.exitCode = 1
}

async function runMany(): Promise<void> {
  const startedAt = performance.now()
  let done = 0
  const run = await runSeeds({
    seeds: seedRange(Number(options.from), Number(options.seeds)),
    limits: limits(),
    ...(options.workers !== undefined && { workers: Number(options.workers) }),
    onOutcome({ seed, failure }) {
      if (++done % SEEDS_A_LINE === 0) {
        const seconds = (performance.now() - startedAt) / 1_000
        console.log(`${done} of ${options.seeds} seeds, ${seconds.toFixed(0)} s`)
      }
      if (failure === null) return
      const peers = options.peers === "3-8" ? "" : ` --peers ${options.peers}`
      console.log(
        `seed ${seed} failed: ${failure.split("\n")[0]}\n  replay: npm run sim -- --seed ${seed}${peers}`,
      )
    },
  })
  for (const [kind, times] of [...run.faults].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`${kind.padEnd(32)} ${times}`)
  }
  const rare = rareFaults(run)
  if (rare.length > 0) console.log(`too rare to prove anything: ${rare.join(", ")}`)
  console.log(
    `${run.seeds} seeds, ${run.failures.length} failures, ${run.writes} writes, ${run.messages} messages, ` +
      `equal within ${run.slowestConvergenceMs} ms of virtual time, ${(run.elapsedMs / 1_000).toFixed(1)} s`,
  )
  if (run.failures.length > 0 || rare.length > 0) process.exitCode = 1
}

async function plantBugs(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const run = await runSeeds({
      seeds: seedRange(Number(options.from), SEEDS_TO_CATCH),
      bug: name,
      stopAfter: 1,
      ...(options.workers !== undefined && { workers: Number(options.workers) }),
    })
    const [caught] = run.failures
    if (caught === undefined) process.exitCode = 1
    const how = caught === undefined ? "NOT CAUGHT" : `caught: ${caught.failure?.split("\n")[0]}`
    console.log(
      `${name.padEnd(56)} ${String(run.seeds).padStart(4)} seeds, ${(run.elapsedMs / 1_000).toFixed(1)} s, ${how}`,
    )
  }
}
