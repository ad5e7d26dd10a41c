import { mkdtemp, readFile, rm } from "node:fs/promises"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { build, type Plugin } from "esbuild"
import { FAULT_KINDS } from "./fault-counts.ts"
import type { Mutation } from "./planted-bug.ts"
import { findPlantedBug } from "./planted-bugs.ts"
import { type Scenario, type ScenarioLimits, USUAL_LIMITS } from "./scenario.ts"
import type { SeedJob, SeedOutcome } from "./seed-worker.ts"

export interface SeedRunOptions {
  readonly seeds: Iterable<string>
  readonly limits?: ScenarioLimits
  /** Name of a bug to plant. */
  readonly bug?: string
  readonly workers?: number
  /** No further seeds after this many failures. */
  readonly stopAfter?: number
  readonly onOutcome?: (outcome: SeedOutcome) => void
}

export interface SeedRun {
  readonly seeds: number
  readonly failures: readonly SeedOutcome[]
  readonly faults: ReadonlyMap<string, number>
  readonly elapsedMs: number
  readonly messages: number
  readonly writes: number
  readonly slowestConvergenceMs: number
}

/** In a run of at least `ENOUGH_SEEDS` each kind of fault must have happened this often. */
const LEAST_FAULTS = 100
const ENOUGH_SEEDS = 1_000

/** Runs many seeds on all cores. */
export async function runSeeds(options: SeedRunOptions): Promise<SeedRun> {
  const { limits = USUAL_LIMITS, bug = null, stopAfter = 20 } = options
  const startedAt = performance.now()
  const queue = options.seeds[Symbol.iterator]()
  const failures: SeedOutcome[] = []
  const faults = new Map<string, number>()
  const total = { seeds: 0, messages: 0, writes: 0, slowestConvergenceMs: 0 }

  const note = (outcome: SeedOutcome): void => {
    total.seeds++
    total.messages += outcome.messages
    total.writes += outcome.writes
    if (outcome.failure === null) {
      total.slowestConvergenceMs = Math.max(total.slowestConvergenceMs, outcome.convergedAfterMs)
    } else {
      failures.push(outcome)
    }
    for (const [kind, times] of outcome.faults) faults.set(kind, (faults.get(kind) ?? 0) + times)
    options.onOutcome?.(outcome)
  }

  const { file, remove } = await bundleWorker(bug === null ? undefined : findPlantedBug(bug).mutation)
  try {
    const count = options.workers ?? Math.max(1, availableParallelism())
    await Promise.all(
      Array.from({ length: count }, () =>
        work(
          file,
          () => {
            if (failures.length >= stopAfter) return null
            const next = queue.next()
            return next.done === true ? null : { world: { seed: next.value, limits }, bug }
          },
          note,
        ),
      ),
    )
  } finally {
    await remove()
  }
  return { ...total, failures, faults, elapsedMs: performance.now() - startedAt }
}

/** Runs given worlds, one after the other. Whoever created it closes it. */
export interface ScenarioRunner {
  run(scenario: Scenario): Promise<SeedOutcome>
  close(): Promise<void>
}

/** Takes the name of a bug to plant, or null. */
export async function createScenarioRunner(bug: string | null): Promise<ScenarioRunner> {
  const { file, remove } = await bundleWorker(bug === null ? undefined : findPlantedBug(bug).mutation)
  const worker = new Worker(file, { execArgv: ["--enable-source-maps"] })
  return {
    run: (world) =>
      new Promise((resolve, reject) => {
        worker.once("message", (outcome: SeedOutcome) => {
          worker.off("error", reject)
          resolve(outcome)
        })
        worker.once("error", reject)
        worker.postMessage({ world, bug } satisfies SeedJob)
      }),
    async close() {
      await worker.terminate()
      await remove()
    },
  }
}

/** Kinds of faults that a long run hardly met; empty for short runs. */
export function rareFaults({ seeds, faults }: Pick<SeedRun, "seeds" | "faults">): readonly string[] {
  if (seeds < ENOUGH_SEEDS) return []
  return FAULT_KINDS.filter((kind) => (faults.get(kind) ?? 0) < LEAST_FAULTS)
}

export function* seedRange(from: number, count: number): Generator<string> {
  for (let seed = from; seed < from + count; seed++) yield String(seed)
}

/** Makes one file for the workers: they start at once, and run without a loader. */
async function bundleWorker(
  mutation: Mutation | undefined,
): Promise<{ readonly file: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "dunlin-sim-"))
  const file = join(folder, "seed-worker.mjs")
  await build({
    entryPoints: [fileURLToPath(new URL("seed-worker.ts", import.meta.url))],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@dunlin/source"],
    sourcemap: "inline",
    logLevel: "error",
    plugins: mutation === undefined ? [] : [mutating(mutation)],
  })
  return { file, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Builds a bug into a copy of the production source. */
export function mutating({ file, find, replace }: Mutation): Plugin {
  return {
    name: "mutation",
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (!path.endsWith(file)) return undefined
        const [before, after, ...more] = (await readFile(path, "utf8")).split(find)
        if (before === undefined || after === undefined || more.length > 0) {
          throw new Error(`"${find}" is not in ${file} exactly once: bring the planted bug up to date`)
        }
        return { contents: `${before}${replace}${after}`, loader: "ts" }
      })
    },
  }
}

function work(file: string, next: () => SeedJob | null, note: (outcome: SeedOutcome) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { execArgv: ["--enable-source-maps"] })
    const step = (): void => {
      const job = next()
      if (job === null) void worker.terminate().then(() => resolve())
      else worker.postMessage(job)
    }
    worker.on("message", (outcome: SeedOutcome) => {
      note(outcome)
      step()
    })
    worker.on("error", reject)
    step()
  })
}
