import { inspect } from "node:util"
import { parentPort } from "node:worker_threads"
import { findPlantedBug } from "./planted-bugs.ts"
import { createScenario, type Scenario, type ScenarioLimits } from "./scenario.ts"
import { runSimulation, type SimulationResult } from "./simulation.ts"

/** One world to run, with a bug to plant or none. */
export interface SeedJob {
  readonly world: { readonly seed: string; readonly limits: ScenarioLimits } | Scenario
  readonly bug: string | null
}

export interface SeedOutcome extends Omit<SimulationResult, "faults"> {
  readonly seed: string
  readonly faults: readonly (readonly [kind: string, times: number])[]
  readonly elapsedMs: number
}

const port = parentPort
if (port !== null) {
  let unhandled: unknown = null
  process.on("unhandledRejection", (reason) => {
    unhandled = reason
  })
  port.on("message", ({ world, bug }: SeedJob) => {
    const startedAt = performance.now()
    const planted = bug === null ? {} : { bug: findPlantedBug(bug) }
    const scenario = "limits" in world ? createScenario(world.seed, world.limits) : world
    void runSimulation(scenario, planted).then((result) => {
      const failure = unhandled === null ? result.failure : `unhandled rejection: ${inspect(unhandled)}`
      unhandled = null
      port.postMessage({
        ...result,
        failure,
        seed: world.seed,
        faults: [...result.faults],
        elapsedMs: performance.now() - startedAt,
      } satisfies SeedOutcome)
    })
  })
}
