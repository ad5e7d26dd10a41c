import { setTimeout as pause } from "node:timers/promises"
import { createInvite } from "@dunlin/core"
import { createHarness } from "../e2e/browser/harness.ts"
import type { ChildPeer } from "../e2e/browser/harness/child-peer.ts"
import type { SuiteOptions } from "./run-suite.ts"
import { slope } from "./slope.ts"

type Peer = ChildPeer<typeof import("./soak-room-peer.ts")>

interface Sample {
  readonly atMs: number
  readonly heapBytes: number
  readonly rssBytes: number
}

const STEADY = 3
const CHURNING = 5
const KEYS = 200
const WRITES_PER_SECOND = 20
const CHURN_EVERY_MS = 4_000
const SAMPLE_EVERY_MS = 10_000
/** In a run of ten minutes, memory must not grow by more than this per minute. */
const SLOPE_LIMIT_BYTES = 1_048_576
const SETTLE_LIMIT_MS = 60_000

/** Eight peers write to one room while five of them leave, crash and come back; three stay and are measured. */
export async function run({ quick }: SuiteOptions): Promise<void> {
  const minutes = quick ? 1.5 : 10
  const warmUpMs = quick ? 30_000 : 120_000
  await using harness = createHarness()
  const host = await harness.host({ args: ["--address-connections-per-second", "1000"] })
  const invite = createInvite()
  const spawn = async (): Promise<Peer> => {
    const module = new URL("./soak-room-peer.ts", import.meta.url)
    const peer: Peer = await harness.peer(module, { nodeArgs: ["--expose-gc"] })
    await peer.call("join", invite, host.url)
    return peer
  }
  const steady: Peer[] = []
  for (let index = 0; index < STEADY; index++) steady.push(await spawn())
  const churning: Peer[] = []
  for (let index = 0; index < CHURNING; index++) churning.push(await spawn())

  const samples = steady.map((): Sample[] => [])
  const started = performance.now()
  const counts = { writes: 0, crashes: 0, leaves: 0 }
  let nextChurn = CHURN_EVERY_MS
  let nextSample = 0
  for (let tick = 0; performance.now() - started < minutes * 60_000; tick++) {
    const elapsed = performance.now() - started
    const everyone = [...steady, ...churning]
    const writer = everyone[tick % everyone.length]
    await writer?.call("write", `key ${tick % KEYS}`, `value ${tick}`)
    counts.writes++
    if (elapsed > nextChurn) {
      nextChurn += CHURN_EVERY_MS
      const gone = churning.shift()
      if (counts.crashes <= counts.leaves) {
        counts.crashes++
        await gone?.kill()
      } else {
        counts.leaves++
        await gone?.call("leave")
        await gone?.close()
      }
      churning.push(await spawn())
    }
    if (elapsed > nextSample) {
      nextSample += SAMPLE_EVERY_MS
      for (const [index, peer] of steady.entries()) {
        samples[index]?.push({ atMs: elapsed, ...(await peer.call("memory")) })
      }
    }
    await pause(1000 / WRITES_PER_SECOND)
  }
  const settledMs = await settle([...steady, ...churning])

  console.log(`${minutes} minutes, ${STEADY} steady peers and ${CHURNING} that come and go`, counts)
  console.log(`equal everywhere ${(settledMs / 1000).toFixed(2)} s after the last write`)
  const slopes = samples.map((own) => own.filter(({ atMs }) => atMs > warmUpMs))
  console.table(
    slopes.map((own, index) => ({
      peer: index + 1,
      "heap at the end, MiB": mebibytes(own.at(-1)?.heapBytes ?? 0),
      "heap slope, KiB/min": kibibytes(slopeOf(own, "heapBytes")),
      "RSS at the end, MiB": mebibytes(own.at(-1)?.rssBytes ?? 0),
      "RSS slope, KiB/min": kibibytes(slopeOf(own, "rssBytes")),
    })),
  )
  for (const own of slopes) {
    if (slopeOf(own, "heapBytes") > SLOPE_LIMIT_BYTES) throw new Error("The heap of a steady peer grows.")
  }
}

/** Waits until all peers hold the same; resolves to how long that took. */
async function settle(peers: readonly Peer[]): Promise<number> {
  const started = performance.now()
  for (;;) {
    const contents = await Promise.all(peers.map((peer) => peer.call("contents")))
    const took = performance.now() - started
    if (new Set(contents).size === 1) return took
    if (took > SETTLE_LIMIT_MS) throw new Error(`Not equal ${SETTLE_LIMIT_MS / 1000} s after the last write.`)
    await pause(50)
  }
}

/** Per minute. */
function slopeOf(samples: readonly Sample[], field: "heapBytes" | "rssBytes"): number {
  return slope(samples.map((sample) => [sample.atMs / 60_000, sample[field]]))
}

const mebibytes = (bytes: number): string => (bytes / 1_048_576).toFixed(1)
const kibibytes = (bytes: number): string => (bytes / 1024).toFixed(0)
