// `npm run soak -- host`: ten minutes of coming, going, talking and misbehaving. Does the heap stay flat?
import { setTimeout as pause } from "node:timers/promises"
import { createFigures } from "./figures.ts"
import { type BenchChild, spawnChild } from "./host/child-calls.ts"
import type { ChurnFigures } from "./host/churn.ts"
import type { StormFigures } from "./host/malformed-storm.ts"
import type { ServerUsage } from "./host/server-child.ts"
import type { SuiteOptions } from "./run-suite.ts"
import { slope } from "./slope.ts"

const figures = createFigures("soak-host")
const MAX_SLOPE_MIB_PER_MINUTE = 1

/** The driver is one address with many clients; other settings are defaults, or shorter so that things happen often. */
const options = {
  addressConnectionsPerSecond: 1_000_000,
  addressConnectionBurst: 1_000_000,
  addressMaxConnections: 1_000_000,
  addressBlockMs: 0,
  graceMs: 3000,
  heartbeatMs: 5000,
  turnUrls: ["turn:turn.example.org:3478"],
  turnSecret: "a secret for tests alone",
  turnTtlSeconds: 60,
  operationsPort: 0,
}

interface Sample {
  readonly minute: number
  readonly heapMiB: number
  readonly externalMiB: number
  readonly rssMiB: number
}

export async function run({ quick }: SuiteOptions): Promise<void> {
  figures.begin()
  const minutes = quick ? 1.5 : 10
  const warmUpMinutes = quick ? 0.4 : 2
  const server = await spawnChild("server-child.ts", ["dunlin", JSON.stringify(options)])
  const driver = await spawnChild("driver-child.ts")
  try {
    const url = await server.call<string>("url")
    await driver.call("startChurn", { url, clients: 200 })
    const storm = stormNowAndThen(driver, Number(new URL(url).port))
    const samples = await watch(server, minutes)
    storm.stop()
    const churn = await driver.call<ChurnFigures>("stopChurn")
    const settled = samples.filter(({ minute }) => minute >= warmUpMinutes)
    const heapSlope = slope(settled.map(({ minute, heapMiB }) => [minute, heapMiB]))
    const externalSlope = slope(settled.map(({ minute, externalMiB }) => [minute, externalMiB]))
    const last = samples.at(-1)
    const result = {
      minutes,
      ...churn,
      heapMiB: round(last?.heapMiB ?? Number.NaN),
      rssMiB: round(last?.rssMiB ?? Number.NaN),
      heapSlopeMiBPerMinute: round(heapSlope),
      externalSlopeMiBPerMinute: round(externalSlope),
    }
    console.table([result])
    figures.add(result)
    if (heapSlope > MAX_SLOPE_MIB_PER_MINUTE) {
      throw new Error(
        `the heap grows by ${round(heapSlope)} MiB a minute; ${MAX_SLOPE_MIB_PER_MINUTE} is the limit`,
      )
    }
    if (churn.lost > 0) throw new Error(`${churn.lost} envelopes between honest members were lost`)
  } finally {
    await Promise.all([server.stop(), driver.stop()])
  }
}

async function watch(server: BenchChild, minutes: number): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  const started = performance.now()
  while (performance.now() - started < minutes * 60_000) {
    await pause(5000)
    await server.call("collect")
    const usage = await server.call<ServerUsage>("usage")
    const sample: Sample = {
      minute: (performance.now() - started) / 60_000,
      heapMiB: usage.heapBytes / 2 ** 20,
      externalMiB: usage.externalBytes / 2 ** 20,
      rssMiB: usage.rssBytes / 2 ** 20,
    }
    samples.push(sample)
    figures.add(sample)
  }
  return samples
}

/** Hostile frames are part of an ordinary day. */
function stormNowAndThen(driver: BenchChild, port: number): { stop(): void } {
  let stopped = false
  void (async () => {
    for (let seed = 0; !stopped; seed++) {
      await driver.call<StormFigures>("storm", { port, frames: 200, seed: seed * 1000 }).catch(() => {})
      await pause(2000)
    }
  })()
  return { stop: () => void (stopped = true) }
}

function round(value: number): number {
  return Number(value.toFixed(2))
}
