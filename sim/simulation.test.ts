import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { decodeMessage } from "@dunlin/core/testing"
import { createScenario, type PeerPlan, type Scenario } from "./scenario.ts"
import { readRegression } from "./regression.ts"
import { createScenarioRunner, rareFaults, runSeeds, seedRange } from "./seeds.ts"
import { runSimulation } from "./simulation.ts"

const SEEDS = 1_000

describe("simulation", () => {
  test(`${SEEDS} seeds come to rest with nothing lost and nobody apart`, async () => {
    const run = await runSeeds({ seeds: seedRange(0, SEEDS) })
    expect(run.failures.map(({ seed, failure }) => `npm run sim -- --seed ${seed}: ${failure}`)).toEqual([])
    expect(run.seeds).toBe(SEEDS)
    expect(rareFaults(run)).toEqual([])
  })

  test("a seed replays bit for bit", async () => {
    for (const seed of ["3", "14", "159"]) {
      const first = await runSimulation(createScenario(seed))
      const second = await runSimulation(createScenario(seed))
      expect(second).toEqual(first)
    }
  })

  const kept = readdirSync(new URL("regressions", import.meta.url)).filter((file) => file.endsWith(".json"))
  test.each(kept)("stays fixed, and is still noticed where its bug is planted: %s", async (file) => {
    const text = readFileSync(new URL(`regressions/${file}`, import.meta.url), "utf8")
    const { scenario, bug } = readRegression(text)
    expect((await runSimulation(scenario)).failure).toBeNull()
    if (bug === null) return
    const runner = await createScenarioRunner(bug)
    try {
      expect((await runner.run(scenario)).failure).not.toBeNull()
    } finally {
      await runner.close()
    }
  })

  test.each([5, 12])("a mesh of %i brings every write to every peer about once", async (peers) => {
    const { failure, receptions } = await receptionsInMesh(peers, 60)
    expect(failure).toBeNull()
    expect(receptions).toBeGreaterThan(0.99)
    expect(receptions).toBeLessThanOrEqual(1.1)
  })

  test.each(["clear-siblings-on-a-local-write", "forget-a-tombstone", "skip-the-answer-to-data"])(
    "notices when someone builds in: %s",
    async (bug) => {
      const run = await runSeeds({ seeds: seedRange(0, 60), bug, stopAfter: 1 })
      expect(run.failures.length).toBeGreaterThan(0)
    },
  )
})

/** Payloads received, by write and receiving peer, while everyone types and nothing goes wrong. */
async function receptionsInMesh(
  count: number,
  writes: number,
): Promise<{ readonly failure: string | null; readonly receptions: number }> {
  const plan: PeerPlan = {
    startsAtMs: 0,
    schemaTag: "1",
    role: "writer",
    direction: "both",
    refuses: false,
    materialiseLagMs: 0,
    wallOffsetMs: 0,
    preload: 0,
    present: false,
  }
  const scenario: Scenario = {
    seed: `mesh/${count}`,
    topology: "mesh",
    peers: Array.from({ length: count }, () => plan),
    edges: Array.from({ length: count }, (_, a) => a).flatMap((a) =>
      Array.from({ length: a }, (_, b) => [b, a] as const),
    ),
    handler: "later-wins",
    twoVersions: false,
    documents: 40,
    slowLinkRate: 0,
    events: Array.from({ length: writes }, (_, at) => ({
      atMs: 5_000 + at * 250,
      type: "write" as const,
      peer: (at * 7) % count,
      document: at % 40,
      deletes: false,
      forbidden: false,
      padding: 0,
      attachment: 0,
    })),
    healAtMs: 5_000 + writes * 250,
  }
  let payloads = 0
  const { failure } = await runSimulation(scenario, {
    capture(message) {
      for (const { frame } of decodeMessage(message))
        if (frame.type === "push" || frame.type === "data") payloads++
    },
  })
  return { failure, receptions: payloads / (writes * (count - 1)) }
}
