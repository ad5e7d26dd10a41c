// `npm run bench -- growth`: what grows with entries, with peers and with replicas, and how fast. Draws the charts of
// docs/scale.md; times are processor time where machines are shared, bytes and trips are exact.
//   npm run bench -- growth --only=replicas    one part: entries, replicas, simulated or real
//   npm run bench -- growth --largest          simulated rooms of 1,000 as well: ten minutes of processor time
//   npm run bench -- growth --draw             only the charts, from the figures of earlier runs
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { createSeededRandom } from "@dunlin/core/testing"
import { createHarness } from "../e2e/browser/harness.ts"
import { measureLargeRoom } from "../e2e/rooms/large-room.ts"
import { createFingerprintIndex } from "../packages/core/src/protocol/fingerprint-index.ts"
import { measureMesh } from "../sim/mesh-table.ts"
import { printMachine } from "./figures.ts"
import { growthChart, type Series } from "./growth/growth-chart.ts"
import { measureReplicas } from "./growth/replica-growth.ts"
import { createEntries, positionOf, reconcile } from "./reconcile.ts"
import type { SuiteOptions } from "./run-suite.ts"

const OUT = fileURLToPath(new URL("out/growth.jsonl", import.meta.url))
const CHARTS = fileURLToPath(new URL("../docs/images/", import.meta.url))
const DIFFERENCES = 10

type Row = Readonly<Record<string, number>>

interface Part {
  readonly title: string
  /** The field that grows, and its name in the chart. */
  readonly size: string
  readonly sizes: string
  /** The fields that are drawn, and their names in the chart. */
  readonly lines: Readonly<Record<string, string>>
  measure(quick: boolean): AsyncGenerator<Row>
}

const parts: Readonly<Record<string, Part>> = {
  entries: {
    title: "Two replicas that differ in ten entries",
    size: "entries",
    sizes: "entries",
    lines: {
      bytes: "bytes to find them",
      trips: "one-way trips",
      buildMs: "CPU to build an index",
      indexMiB: "memory of an index",
    },
    measure: measureEntries,
  },
  replicas: {
    title: "Two peers that share many replicas",
    size: "replicas",
    sizes: "replicas of 20 entries",
    lines: {
      equalBytes: "bytes, nothing changed",
      changedBytes: "bytes, one change in each",
      changedTrips: "one-way trips",
      cpuMs: "CPU of both",
    },
    measure: measureReplicaCounts,
  },
  simulated: {
    title: "Simulated rooms, 12 links at most",
    size: "peers",
    sizes: "peers",
    lines: {
      receptions: "payloads, peer and write",
      bytes: "bytes, peer and write",
      reachMs: "time to reach all",
      hops: "hops, mean",
      cpuPerPeerS: "CPU of a peer",
    },
    measure: measureSimulatedRooms,
  },
  real: {
    title: "Real rooms: Node processes on one machine",
    size: "peers",
    sizes: "peers",
    lines: {
      linksMean: "links of a peer",
      receptions: "payloads, peer and write",
      bytes: "bytes, peer and write",
      reachMs: "time to reach all",
      togetherMs: "time until all are together",
    },
    measure: measureRealRooms,
  },
}

export async function run({ quick }: SuiteOptions): Promise<void> {
  mkdirSync(fileURLToPath(new URL("out", import.meta.url)), { recursive: true })
  const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice("--only=".length)
  printMachine()
  const rowsByPart = readRows()
  for (const [name, part] of Object.entries(parts)) {
    if (process.argv.includes("--draw") || (only !== undefined && only !== name)) continue
    const rows: Row[] = []
    console.log(`\n${part.title}`)
    for await (const row of part.measure(quick)) {
      rows.push({ ...row, load: loadavg()[0] ?? 0 })
      console.log(
        Object.entries(row)
          .map(([field, value]) => `${field} ${Number(value.toPrecision(4))}`)
          .join(", "),
      )
    }
    rowsByPart.set(name, rows)
    writeRows(rowsByPart)
  }
  if (quick) return
  for (const [name, part] of Object.entries(parts)) {
    const rows = rowsByPart.get(name)
    if (rows !== undefined) writeFileSync(`${CHARTS}growth-${name}.svg`, chartOf(part, rows))
  }
  console.log("JSON lines: bench/out/growth.jsonl, charts: docs/images/growth-*.svg")
}

/** Parts that do not run keep their former figures. */
function readRows(): Map<string, readonly Row[]> {
  const lines = existsSync(OUT) ? readFileSync(OUT, "utf8").split("\n") : []
  const rowsByPart = new Map<string, Row[]>()
  for (const line of lines.filter((one) => one !== "")) {
    const { part, ...row } = JSON.parse(line) as Row & { readonly part: string }
    rowsByPart.set(part, [...(rowsByPart.get(part) ?? []), row])
  }
  return rowsByPart
}

function writeRows(rowsByPart: ReadonlyMap<string, readonly Row[]>): void {
  const lines = [...rowsByPart].flatMap(([part, rows]) => rows.map((row) => JSON.stringify({ part, ...row })))
  writeFileSync(OUT, `${lines.join("\n")}\n`)
}

function chartOf({ title, size, sizes, lines }: Part, rows: readonly Row[]): string {
  const series = Object.entries(lines).map(([field, name]): Series => ({
    name,
    points: rows.flatMap((row) => pointOf(row, size, field)),
  }))
  return growthChart({ title, sizes, series })
}

function pointOf(row: Row, size: string, field: string): readonly (readonly [number, number])[] {
  const [x, y] = [row[size], row[field]]
  // A value too small to measure cannot be drawn on a logarithmic chart.
  return x === undefined || y === undefined || y <= 0 ? [] : [[x, y]]
}

async function* measureEntries(quick: boolean): AsyncGenerator<Row> {
  // A process builds its first index at a fraction of the later speed.
  for (let round = 0; round < 5; round++) createFingerprintIndex().build(createEntries(20_000))
  for (const entries of quick ? [1_000, 10_000, 100_000] : [1_000, 10_000, 100_000, 1_000_000]) {
    const pack = createEntries(entries)
    globalThis.gc?.()
    const before = process.memoryUsage()
    const one = createFingerprintIndex()
    one.build(pack)
    globalThis.gc?.()
    const after = process.memoryUsage()
    const other = createFingerprintIndex()
    const buildMs = leastCpuMs(entries > 100_000 ? 2 : 10, () => other.build(pack))
    const random = createSeededRandom(`growth/${entries}`)
    for (let at = 0; at < DIFFERENCES; at++)
      one.set(positionOf(pack, random.below(entries)), random.bytes(16), `changed-${at}`)
    const findAt = cpuMs()
    const cost = reconcile(one, other, random)
    const bytesOf = ({ heapUsed, arrayBuffers }: NodeJS.MemoryUsage): number => heapUsed + arrayBuffers
    yield {
      entries,
      bytes: cost.bytes,
      trips: cost.trips,
      findMs: cpuMs() - findAt,
      buildMs,
      indexMiB: (bytesOf(after) - bytesOf(before)) / 2 ** 20,
    }
  }
}

async function* measureReplicaCounts(quick: boolean): AsyncGenerator<Row> {
  await measureReplicas(10)
  for (const replicas of quick ? [1, 10] : [1, 3, 10, 30, 100]) {
    const growth = await measureReplicas(replicas)
    yield { ...growth }
  }
}

async function* measureSimulatedRooms(quick: boolean): AsyncGenerator<Row> {
  const largest = process.argv.includes("--largest") ? [1_000] : []
  for (const peers of quick ? [10, 30] : [10, 30, 100, 200, ...largest]) {
    const mesh = await measureMesh({ seed: 1, peers, maxLinks: 12, writes: 20, churn: 5 })
    yield {
      peers,
      linksMax: mesh.linksMax,
      receptions: mesh.receptions,
      bytes: mesh.bytesPerPeerAndWrite,
      hops: mesh.hops.mean,
      hopsMax: mesh.hops.max,
      reachMs: mesh.reachMs.p50,
      convergedAfterMs: mesh.convergedAfterMs,
      cpuPerPeerS: mesh.cpuSeconds / peers,
    }
  }
}

async function* measureRealRooms(quick: boolean): AsyncGenerator<Row> {
  for (const nodePeers of quick ? [2, 5] : [2, 5, 10, 20, 30]) {
    await using harness = createHarness()
    const room = await measureLargeRoom(harness, { nodePeers, pages: 0, writes: 15, churn: 0 })
    yield {
      peers: nodePeers,
      togetherMs: room.togetherMs,
      linksMean: room.linksMean,
      linksMax: room.linksMax,
      ...(room.receptions !== null && { receptions: room.receptions }),
      ...(room.bytesPerPeerAndWrite !== null && { bytes: room.bytesPerPeerAndWrite }),
      reachMs: room.reachMs.p50,
      reachMaxMs: room.reachMs.max,
    }
  }
}

/** The least of several rounds, which is what the machine needs when it does nothing else. */
function leastCpuMs(rounds: number, work: () => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const startedAt = cpuMs()
    work()
    least = Math.min(least, cpuMs() - startedAt)
  }
  return least
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
