// `npm run bench -- rxdb`: @dunlin/rxdb beside RxDB's own WebRTC plugin, in turn in one run. Peers are processes of
// their own with memory storage and node-datachannel; bytes are data-channel payload both ways after the handshake.
import { loadavg } from "node:os"
import { createFigures } from "./figures.ts"
import { quantile } from "./quantile.ts"
import type { SuiteOptions } from "./run-suite.ts"
import { browserLatency, browserSync } from "./rxdb/browsers.ts"
import { channelFloor } from "./rxdb/channel-floor.ts"
import { type Flock, openFlock } from "./rxdb/flock.ts"
import {
  cities,
  fiveCollections,
  initialSync,
  type Measured,
  neverMet,
  oneInsert,
  settling,
  thirdPeer,
  writeLatency,
} from "./rxdb/rows.ts"

interface Task {
  readonly name: string
  readonly rounds: number
  /** Omitted from a quick run, which must end within two minutes and shows the most telling case of each kind. */
  readonly thoroughOnly?: boolean
  readonly dunlin: (flock: Flock) => Promise<Measured>
  readonly rxdb: ((flock: Flock) => Promise<Measured>) | null
}

const figures = createFigures("rxdb")

export async function run({ quick }: SuiteOptions): Promise<void> {
  figures.begin()
  const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice(7)
  const dunlin = await openFlock("dunlin")
  const rxdb = await openFlock("rxdb")
  try {
    for (const task of tasks(quick)) {
      if (only === undefined ? quick && task.thoroughOnly === true : !task.name.includes(only)) continue
      await runTask(task, dunlin, rxdb)
    }
    if (only === undefined || "floor".includes(only)) {
      const floor = await channelFloor(quick ? 20 : 100)
      record("raw channel (floor)", "floor", floor)
      console.log(`raw channel: ${format(floor["mbPerSecond"] ?? null)} MB/s`)
    }
  } finally {
    await dunlin.close()
    await rxdb.close()
  }
  console.log(`JSON lines: ${figures.file}`)
}

function tasks(quick: boolean): readonly Task[] {
  const count = quick ? 2_000 : 10_000
  const rounds = Number(
    process.argv.find((argument) => argument.startsWith("--rounds="))?.slice(9) ?? (quick ? 1 : 5),
  )
  const settle = { documents: 50, timeoutMs: quick ? 4_000 : 15_000 }
  return [
    {
      name: `initial sync of ${count}, default options`,
      rounds,
      dunlin: (flock) => initialSync(flock, { count }),
      rxdb: (flock) => initialSync(flock, { count }),
    },
    {
      name: `initial sync of ${count}, its batch 1000`,
      rounds,
      thoroughOnly: true,
      dunlin: (flock) => initialSync(flock, { count }),
      rxdb: (flock) => initialSync(flock, { count, batchSize: 1000 }),
    },
    {
      name: `never met, the same ${count}`,
      rounds: 1,
      thoroughOnly: true,
      dunlin: (flock) => neverMet(flock, count, 0),
      rxdb: (flock) => neverMet(flock, count, 0),
    },
    {
      name: `never met, 10 of ${count} differ`,
      rounds: 1,
      dunlin: (flock) => neverMet(flock, count, 10),
      rxdb: (flock) => neverMet(flock, count, 10),
    },
    {
      name: `empty third peer joins two with ${count}`,
      rounds: quick ? 1 : 3,
      dunlin: (flock) => thirdPeer(flock, count),
      rxdb: (flock) => thirdPeer(flock, count),
    },
    {
      name: "one insert among five peers",
      rounds: quick ? 1 : 3,
      dunlin: (flock) => oneInsert(flock, 5),
      rxdb: (flock) => oneInsert(flock, 5),
    },
    {
      name: "one write to its event at the other side",
      rounds: quick ? 1 : 5,
      dunlin: (flock) => writeLatency(flock, quick ? 100 : 300),
      rxdb: (flock) => writeLatency(flock, quick ? 100 : 300),
    },
    { name: "five collections, two peers", rounds: 1, dunlin: fiveCollections, rxdb: fiveCollections },
    ...([3, 5] as const).flatMap((size) =>
      (["default", "nonCommutative"] as const).map((handler) => ({
        name: `${size} peers edit the same 50 documents at once, ${handler} handler`,
        // RxDB's plugin chooses masters by chance: among three peers, every fourth group is a cycle.
        rounds: quick ? 1 : 4,
        thoroughOnly: size === 5 || handler !== "default",
        dunlin: (flock: Flock) => settling(flock, { ...settle, size, handler }),
        rxdb: (flock: Flock) => settling(flock, { ...settle, size, handler }),
      })),
    ),
    {
      name: `first sync of ${quick ? 20_000 : 100_000} cities`,
      rounds: 1,
      dunlin: (flock) => cities(flock, quick ? 20_000 : 100_000),
      rxdb: quick ? null : (flock) => cities(flock, 100_000),
    },
    {
      name: `Chromium with IndexedDB: initial sync of ${count}, its batch 1000`,
      rounds,
      thoroughOnly: true,
      dunlin: (flock) => browserSync(flock, { count, batchSize: null }),
      rxdb: (flock) => browserSync(flock, { count, batchSize: 1000 }),
    },
    {
      name: `Chromium with IndexedDB: initial sync of ${count}, default options`,
      rounds: 1,
      thoroughOnly: true,
      dunlin: (flock) => browserSync(flock, { count, batchSize: null }),
      rxdb: (flock) => browserSync(flock, { count, batchSize: null }),
    },
    {
      name: "Chromium with IndexedDB: initial sync of 100000, its batch 1000",
      rounds: 1,
      thoroughOnly: true,
      dunlin: (flock) => browserSync(flock, { count: 100_000, batchSize: null }),
      rxdb: (flock) => browserSync(flock, { count: 100_000, batchSize: 1000 }),
    },
    {
      name: "Chromium with IndexedDB: one write to its event at the other side",
      rounds,
      thoroughOnly: true,
      dunlin: (flock) => browserLatency(flock, 150),
      rxdb: (flock) => browserLatency(flock, 150),
    },
  ]
}

async function runTask({ name, rounds, dunlin, rxdb }: Task, ours: Flock, theirs: Flock): Promise<void> {
  const measured: { readonly dunlin: Measured[]; readonly rxdb: Measured[] } = { dunlin: [], rxdb: [] }
  for (let round = 0; round < rounds; round++) {
    measured.dunlin.push(record(name, "dunlin", await dunlin(ours)))
    if (rxdb !== null) measured.rxdb.push(record(name, "rxdb", await rxdb(theirs)))
  }
  console.log(`\n${name}${rounds > 1 ? ` (median of ${rounds})` : ""}`)
  for (const field of Object.keys(measured.dunlin[0] ?? {})) {
    if (field === "direction") continue
    const [a, b] = [summary(measured.dunlin, field), summary(measured.rxdb, field)]
    const ratio = typeof a === "number" && typeof b === "number" && a > 0 ? `${(b / a).toFixed(2)} ×` : ""
    console.log(
      `  ${field.padEnd(18)} ${format(a).padStart(12)} ${format(b).padStart(12)} ${ratio.padStart(10)}`,
    )
  }
  printDirections(measured)
}

/** The plugin's rounds, separately for each side as its master: their times have little in common. */
function printDirections({ dunlin, rxdb }: Record<"dunlin" | "rxdb", readonly Measured[]>): void {
  const directions = new Set(rxdb.map((row) => row["direction"] ?? null))
  directions.delete(null)
  for (const direction of directions)
    for (const field of ["ms", "cpuMs"]) {
      const theirs = rxdb.filter((row) => row["direction"] === direction)
      const [a, b] = [summary(dunlin, field), summary(theirs, field)]
      const ratio = typeof a === "number" && typeof b === "number" ? `${(b / a).toFixed(2)} ×` : ""
      console.log(`  ${field}, ${direction} (${theirs.length}): ${format(b)} ${ratio}`)
    }
}

function summary(rows: readonly Measured[], field: string): number | string | boolean | null {
  const values = rows.map((row) => row[field] ?? null)
  if (values.every((value) => value === null || typeof value === "number"))
    return quantile(
      values.filter((value) => value !== null),
      0.5,
    )
  return values.every((value) => value === values[0]) ? (values[0] ?? null) : values.join(", ")
}

function record(task: string, engine: string, result: Measured): Measured {
  figures.add({ task, engine, load: loadavg()[0], ...result })
  return result
}

function format(value: number | string | boolean | null): string {
  if (typeof value !== "number") return value === null ? "–" : String(value)
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1)
}
