// `npm run bench -- host`: the signaling host beside a bare `ws` relay, y-webrtc's server and RxDB's server, in turn
// in one run; each server and each driver is a process of its own, everything on loopback.
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { type BenchChild, spawnChild } from "./host/child-calls.ts"
import type { Attack, AttackFigures } from "./host/containment.ts"
import type { ServerKind } from "./host/dialects.ts"
import type { TalkFigures } from "./host/honest-talk.ts"
import type { ForwardFigures, JoinFigures } from "./host/load-driver.ts"
import type { StormFigures } from "./host/malformed-storm.ts"
import { median } from "./host/quantile.ts"
import type { ServerUsage } from "./host/server-child.ts"

const OUT = fileURLToPath(new URL("out/host.jsonl", import.meta.url))
const kinds: readonly ServerKind[] = ["dunlin", "bare", "y-webrtc", "rxdb"]

/** Limits per address and socket off: one driver stands for thousands of clients. */
const unlimited = {
  addressConnectionsPerSecond: 1_000_000,
  addressConnectionBurst: 1_000_000,
  addressMaxConnections: 1_000_000,
  addressBlockMs: 0,
  socketMessagesPerSecond: 1_000_000,
  socketMessageBurst: 1_000_000,
  socketBytesPerSecond: 1_073_741_824,
  socketByteBurst: 1_073_741_824,
  roomMessagesPerSecond: 1_000_000,
  roomMessageBurst: 1_000_000,
  maxSockets: 20_000,
  maxLoopLagMs: 60_000,
}

export async function run({ quick }: { readonly quick: boolean }): Promise<void> {
  mkdirSync(fileURLToPath(new URL("out", import.meta.url)), { recursive: true })
  writeFileSync(OUT, "")
  const [cpu] = cpus()
  console.log(`${cpus().length} × ${cpu?.model}, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`)
  const rounds = quick ? 1 : 5
  await compareJoins(rounds, quick ? 1000 : 3000)
  await compareIdle(quick ? 2000 : 10_000)
  await compareForwards(rounds, quick ? 2 : 5)
  await compareDeadlyFrames()
  await storm(quick ? 20_000 : 1_000_000)
  await containment(quick ? 3 : 10)
  console.log("JSON lines: bench/out/host.jsonl")
}

interface Stage {
  readonly kind: ServerKind
  readonly server: BenchChild
  readonly driver: BenchChild
  readonly url: string
}

async function withStage<T>(
  kind: ServerKind,
  options: object,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const server = await spawnChild("server-child.ts", [kind, JSON.stringify(options)])
  const driver = await spawnChild("driver-child.ts")
  try {
    return await work({ kind, server, driver, url: await server.call<string>("url") })
  } finally {
    await Promise.all([server.stop(), driver.stop()])
  }
}

const usage = (server: BenchChild): Promise<ServerUsage> => server.call<ServerUsage>("usage")

async function settledUsage(server: BenchChild): Promise<ServerUsage> {
  await server.call("collect")
  return await usage(server)
}

/** Runs the kinds in turn, so that what else the machine does falls on all of them. */
async function inTurn(
  rounds: number,
  options: object,
  measure: (stage: Stage) => Promise<Readonly<Record<string, number>>>,
): Promise<Map<ServerKind, Record<string, number>>> {
  const samples = new Map<ServerKind, Readonly<Record<string, number>>[]>(kinds.map((kind) => [kind, []]))
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      const sample = await withStage(kind, kind === "dunlin" ? options : {}, measure)
      samples.get(kind)?.push(sample)
    }
  }
  return new Map(
    [...samples].map(([kind, all]) => {
      const names = Object.keys(all[0] ?? {})
      return [
        kind,
        Object.fromEntries(names.map((name) => [name, median(all.map((one) => one[name] ?? Number.NaN))])),
      ]
    }),
  )
}

function table(
  title: string,
  rows: ReadonlyMap<ServerKind, Record<string, number>>,
  digits: Record<string, number>,
): void {
  console.log(`\n${title}`)
  const ours = rows.get("dunlin") ?? {}
  console.table(
    Object.fromEntries(
      [...rows].map(([kind, row]) => {
        record({ measure: title, server: kind, ...row })
        return [
          kind,
          Object.fromEntries(
            Object.entries(row).flatMap(([name, value]) => {
              const shown = Number(value.toFixed(digits[name] ?? 1))
              const ratio = Number(((ours[name] ?? Number.NaN) / value).toFixed(2))
              return kind === "dunlin"
                ? [[name, shown]]
                : [
                    [name, shown],
                    [`dunlin ÷ ${name}`, ratio],
                  ]
            }),
          ),
        ]
      }),
    ),
  )
}

async function compareJoins(rounds: number, count: number): Promise<void> {
  const rows = await inTurn(rounds, unlimited, async ({ kind, server, driver, url }) => {
    await driver.call("joins", { kind, url, count: 300 })
    const before = await usage(server)
    const { joinsPerSecond } = await driver.call<JoinFigures>("joins", { kind, url, count })
    const cpuUs = (((await usage(server)).cpuMs - before.cpuMs) / count) * 1000
    return { joinsPerSecond, cpuUsPerJoin: cpuUs, joinsPerCoreSecond: 1e6 / cpuUs }
  })
  table(`joins, each with its connection (median of ${rounds})`, rows, {
    joinsPerSecond: 0,
    cpuUsPerJoin: 0,
    joinsPerCoreSecond: 0,
  })
}

async function compareIdle(count: number): Promise<void> {
  const rows = await inTurn(1, unlimited, async ({ kind, server, driver, url }) => {
    await driver.call("joins", { kind, url, count: 500 })
    const before = await settledUsage(server)
    await driver.call("openIdle", { kind, url, count })
    const after = await settledUsage(server)
    await driver.call("releaseIdle")
    return {
      kibPerSocket: (after.rssBytes - before.rssBytes) / count / 1024,
      heapKibPerSocket: (after.heapBytes - before.heapBytes) / count / 1024,
    }
  })
  table(`${count} idle sockets`, rows, { kibPerSocket: 1, heapKibPerSocket: 1 })
}

async function compareForwards(rounds: number, seconds: number): Promise<void> {
  const most = await inTurn(rounds, unlimited, async ({ kind, server, driver, url }) => {
    await driver.call("forwards", { kind, url, pairs: 50, seconds: 0.5 })
    const before = await usage(server)
    const figures = await driver.call<ForwardFigures>("forwards", { kind, url, pairs: 50, seconds })
    // The warm-up second inside the call costs as well: the processor's time is spread over all of it.
    const cpuMs = ((await usage(server)).cpuMs - before.cpuMs) * (seconds / (seconds + 1))
    const cpuUs = (cpuMs / figures.forwards) * 1000
    return {
      forwardsPerSecond: figures.forwardsPerSecond,
      cpuUsPerForward: cpuUs,
      forwardsPerCoreSecond: 1e6 / cpuUs,
    }
  })
  table(`forwards of 700-byte envelopes, as many as go (median of ${rounds})`, most, {
    forwardsPerSecond: 0,
    cpuUsPerForward: 1,
    forwardsPerCoreSecond: 0,
  })
  const perSecond = 15_000
  const paced = await inTurn(rounds, unlimited, async ({ kind, driver, url }) => {
    const figures = await driver.call<ForwardFigures>("forwards", {
      kind,
      url,
      pairs: 50,
      seconds,
      perSecond,
    })
    return {
      forwardsPerSecond: figures.forwardsPerSecond,
      p50Ms: figures.p50Ms ?? Number.NaN,
      p99Ms: figures.p99Ms ?? Number.NaN,
    }
  })
  table(`forwards of 700-byte envelopes at ${perSecond}/s offered (median of ${rounds})`, paced, {
    forwardsPerSecond: 0,
    p50Ms: 2,
    p99Ms: 2,
  })
}

async function compareDeadlyFrames(): Promise<void> {
  console.log("\none frame that should not matter")
  const rows: Record<string, Record<string, string>> = {}
  for (const kind of kinds) {
    rows[kind] = {}
    for (const frame of ["x", "null"]) {
      const alive = await withStage(kind, unlimited, async ({ server, driver, url }) => {
        await driver.call("killWith", { url, kind, frame })
        return server.alive
      })
      rows[kind][`${frame.length} byte${frame.length > 1 ? "s" : ""}: ${frame}`] = alive ? "alive" : "DEAD"
      record({ measure: "deadly frame", server: kind, frame, alive })
    }
  }
  console.table(rows)
}

async function storm(frames: number): Promise<void> {
  await withStage(
    "dunlin",
    { ...unlimited, addressMaxConnections: 1_000_000, operationsPort: 0 },
    async (stage) => {
      const { server, driver, url } = stage
      const port = Number(new URL(url).port)
      const honest = await spawnChild("driver-child.ts")
      try {
        await driver.call("storm", { port, frames: Math.min(20_000, frames), seed: 1 })
        const before = await settledUsage(server)
        await honest.call("startTalk", { url })
        const figures = await driver.call<StormFigures>("storm", { port, frames, seed: 1000 })
        const talk = await honest.call<TalkFigures>("stopTalk")
        const during = await usage(server)
        const after = await settledUsage(server)
        const metrics = await (await fetch(`${await server.call<string>("operationsUrl")}/metrics`)).text()
        const read = (name: string): number =>
          Number(new RegExp(`^${name} (\\d+)`, "m").exec(metrics)?.[1] ?? 0)
        const row = {
          frames: figures.frames,
          connections: figures.connections,
          framesDecoded: read("dunlin_messages_in_total"),
          seconds: Math.round(figures.seconds),
          alive: server.alive,
          rssGrowthMiB: Number(((after.rssBytes - before.rssBytes) / 2 ** 20).toFixed(1)),
          rssGrowthBeforeGcMiB: Number(((during.rssBytes - before.rssBytes) / 2 ** 20).toFixed(1)),
          handlerErrors: read("dunlin_handler_errors_total"),
          honestSent: talk.sent,
          honestReceived: talk.received,
          honestP99Ms: Number((talk.p99Ms ?? Number.NaN).toFixed(1)),
        }
        record({ measure: "storm", ...row })
        console.log(`\n${frames} malformed, oversized, truncated, fragmented and out-of-order frames`)
        console.table([row])
      } finally {
        await honest.stop()
      }
    },
  )
}

async function containment(seconds: number): Promise<void> {
  console.log(`\na room of two during ${seconds} s of …, default limits`)
  const rows: Record<string, object> = {}
  const attacks: readonly Attack[] = [
    "nothing",
    "slow-consumer",
    "flooding-socket",
    "flooding-address",
    "crowd",
  ]
  for (const attack of attacks) {
    await withStage("dunlin", {}, async ({ server, driver, url }) => {
      const honest = await spawnChild("driver-child.ts")
      try {
        await honest.call("startTalk", { url })
        const before = await usage(server)
        const { outcome } = await driver.call<AttackFigures>("contain", { url, attack, seconds })
        const after = await usage(server)
        const talk = await honest.call<TalkFigures>("stopTalk")
        const row = {
          p50Ms: Number((talk.p50Ms ?? Number.NaN).toFixed(2)),
          p99Ms: Number((talk.p99Ms ?? Number.NaN).toFixed(2)),
          maxMs: Number((talk.maxMs ?? Number.NaN).toFixed(2)),
          lost: talk.sent - talk.received,
          serverCpu: `${Math.round(((after.cpuMs - before.cpuMs) / (seconds * 1000)) * 100)} %`,
          outcome,
        }
        rows[attack] = row
        record({ measure: "containment", attack, ...row })
      } finally {
        await honest.stop()
      }
    })
  }
  console.table(rows)
}

function record(line: object): void {
  appendFileSync(OUT, `${JSON.stringify({ ...line, load: loadavg()[0] })}\n`)
}
