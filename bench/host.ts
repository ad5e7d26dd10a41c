// `npm run bench -- host`: the signaling host beside a bare `ws` relay, y-webrtc's server and RxDB's server, in turn
// in one run; each server and each driver is a process of its own, everything on loopback.
//   npm run bench -- host --only=load    one part: load, idle, cluster, deadly, storm or containment
import { readFileSync } from "node:fs"
import { loadavg } from "node:os"
import { freeTcpPort, natsServerProblem, startNatsServer } from "../e2e/infra/nats-server.ts"
import { createFigures } from "./figures.ts"
import { type BenchChild, spawnChild } from "./host/child-calls.ts"
import type { Attack, AttackFigures } from "./host/containment.ts"
import type { ServerKind } from "./host/dialects.ts"
import type { TalkFigures } from "./host/honest-talk.ts"
import type { ForwardFigures, JoinFigures } from "./host/load-driver.ts"
import type { StormFigures } from "./host/malformed-storm.ts"
import type { ServerUsage } from "./host/server-child.ts"
import { median } from "./quantile.ts"
import type { SuiteOptions } from "./run-suite.ts"

const out = createFigures("host")
const kinds: readonly ServerKind[] = ["dunlin", "bare", "y-webrtc", "rxdb"]

/** Limits per address and socket are off: one driver stands for thousands of clients. */
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

export async function run({ quick }: SuiteOptions): Promise<void> {
  out.begin()
  const rounds = quick ? 1 : 3
  const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice("--only=".length)
  const parts: Readonly<Record<string, () => Promise<void>>> = {
    load: () => compareLoad(rounds, quick ? 600 : 3000, quick ? 1 : 5),
    idle: () => compareIdle(quick ? 1000 : 10_000),
    cluster: () => compareCluster(quick ? 1 : 10),
    deadly: compareDeadlyFrames,
    // Run alone, all two million: three minutes. About half are read, because a malformed frame ends its connection.
    storm: () => storm(quick ? 20_000 : only === "storm" ? 2_000_000 : 500_000),
    containment: () => containment(quick ? 2 : 10),
  }
  for (const [name, part] of Object.entries(parts)) if (only === undefined || only === name) await part()
  console.log(`JSON lines: ${out.file}`)
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
  const children = await Promise.all([
    spawnChild("server-child.ts", [kind, JSON.stringify(options)]),
    spawnChild("driver-child.ts"),
  ])
  const [server, driver] = children
  try {
    return await work({ kind, server, driver, url: await server.call<string>("url") })
  } finally {
    await Promise.all(children.map((child) => child.stop()))
  }
}

const usage = (server: BenchChild): Promise<ServerUsage> => server.call<ServerUsage>("usage")

async function settledUsage(server: BenchChild): Promise<ServerUsage> {
  await server.call("collect")
  return await usage(server)
}

type Figures = Readonly<Record<string, number>>

/** Runs the kinds in turn, so that other load on the machine affects all alike. One row of medians per kind. */
async function inTurn<Name extends string>(
  rounds: number,
  measure: (stage: Stage) => Promise<Readonly<Record<Name, Figures>>>,
): Promise<Readonly<Record<Name, Map<ServerKind, Figures>>>> {
  const samples: { readonly kind: ServerKind; readonly sample: Readonly<Record<Name, Figures>> }[] = []
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      samples.push({ kind, sample: await withStage(kind, kind === "dunlin" ? unlimited : {}, measure) })
    }
  }
  const names = Object.keys(samples[0]?.sample ?? {}) as Name[]
  return Object.fromEntries(
    names.map((name) => [
      name,
      new Map(
        kinds.map((kind) => [
          kind,
          medians(samples.filter((one) => one.kind === kind).map((one) => one.sample[name])),
        ]),
      ),
    ]),
  ) as Record<Name, Map<ServerKind, Figures>>
}

function medians(rows: readonly Figures[]): Figures {
  return Object.fromEntries(
    Object.keys(rows[0] ?? {}).map((name) => [name, median(rows.map((row) => row[name] ?? Number.NaN))]),
  )
}

function table(title: string, rows: ReadonlyMap<ServerKind, Figures>, digits: Record<string, number>): void {
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
              const shown = Number(value.toFixed(digits[name] ?? 0))
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

const OFFERED_PER_SECOND = 15_000

async function compareLoad(rounds: number, joins: number, seconds: number): Promise<void> {
  const rows = await inTurn(rounds, async ({ kind, server, driver, url }) => {
    // A process runs its first thousands of joins at half speed.
    await driver.call("joins", { kind, url, count: joins })
    const beforeJoins = await usage(server)
    const { joinsPerSecond } = await driver.call<JoinFigures>("joins", { kind, url, count: joins })
    const cpuUsPerJoin = (((await usage(server)).cpuMs - beforeJoins.cpuMs) / joins) * 1000
    await driver.call("forwards", { kind, url, pairs: 50, seconds: 0.2 })
    const beforeForwards = await usage(server)
    const most = await driver.call<ForwardFigures>("forwards", { kind, url, pairs: 50, seconds })
    const cpuUsPerForward = (((await usage(server)).cpuMs - beforeForwards.cpuMs) / most.allForwards) * 1000
    const offered = { kind, url, pairs: 50, seconds, perSecond: OFFERED_PER_SECOND }
    const paced = await driver.call<ForwardFigures>("forwards", offered)
    return {
      joins: { joinsPerSecond, cpuUsPerJoin, joinsPerCoreSecond: 1e6 / cpuUsPerJoin },
      most: {
        forwardsPerSecond: most.forwardsPerSecond,
        cpuUsPerForward,
        forwardsPerCoreSecond: 1e6 / cpuUsPerForward,
      },
      paced: {
        forwardsPerSecond: paced.forwardsPerSecond,
        p50Ms: paced.p50Ms ?? Number.NaN,
        p99Ms: paced.p99Ms ?? Number.NaN,
      },
    }
  })
  const of = `(median of ${rounds})`
  table(`joins, each with its connection ${of}`, rows.joins, { cpuUsPerJoin: 0 })
  table(`forwards of 700-byte envelopes, as many as go ${of}`, rows.most, { cpuUsPerForward: 1 })
  table(`forwards of 700-byte envelopes, ${OFFERED_PER_SECOND}/s offered ${of}`, rows.paced, {
    p50Ms: 2,
    p99Ms: 2,
  })
}

async function compareIdle(count: number): Promise<void> {
  const rows = await inTurn(1, async ({ kind, server, driver, url }) => {
    await driver.call("joins", { kind, url, count: 500 })
    const before = await settledUsage(server)
    await driver.call("openIdle", { kind, url, count })
    const after = await settledUsage(server)
    await driver.call("releaseIdle")
    return {
      idle: {
        kibPerSocket: (after.rssBytes - before.rssBytes) / count / 1024,
        heapKibPerSocket: (after.heapBytes - before.heapBytes) / count / 1024,
      },
    }
  })
  table(`${count} idle sockets`, rows.idle, { kibPerSocket: 1, heapKibPerSocket: 1 })
}

/** One host, compared with two connected by NATS: what a forward costs each process. */
async function compareCluster(seconds: number): Promise<void> {
  const problem = natsServerProblem()
  if (problem !== null) {
    console.log(`\nskipped: the cluster (${problem})`)
    return
  }
  const nats = await startNatsServer(await freeTcpPort())
  // A suite that fails half way ends its process, and the NATS server must not outlive it.
  const end = (): void => void process.kill(nats.pid)
  process.once("exit", end)
  const options = JSON.stringify({ ...unlimited, cluster: [nats.url] })
  const children = await Promise.all([
    spawnChild("server-child.ts", ["dunlin", options]),
    spawnChild("server-child.ts", ["dunlin", options]),
    spawnChild("driver-child.ts"),
  ])
  try {
    const [near, far, driver] = children
    const [url, farUrl] = [await near.call<string>("url"), await far.call<string>("url")]
    const rows: Record<string, object> = {}
    for (const [name, receiverUrl] of [
      ["one host", url],
      ["two hosts and NATS", farUrl],
    ] as const) {
      const load = { kind: "dunlin", url, receiverUrl, pairs: 50, seconds }
      await driver.call("forwards", { ...load, seconds: 0.2 })
      const before = [(await usage(near)).cpuMs, (await usage(far)).cpuMs, processorMs(nats.pid)] as const
      const figures = await driver.call<ForwardFigures>("forwards", load)
      const after = [(await usage(near)).cpuMs, (await usage(far)).cpuMs, processorMs(nats.pid)] as const
      const us = (index: 0 | 1 | 2): number =>
        Number((((after[index] - before[index]) / figures.allForwards) * 1000).toFixed(1))
      const row = {
        forwardsPerSecond: Math.round(figures.forwardsPerSecond),
        senderHostUs: us(0),
        receiverHostUs: us(1),
        natsUs: us(2),
        p50Ms: Number((figures.p50Ms ?? Number.NaN).toFixed(2)),
        p99Ms: Number((figures.p99Ms ?? Number.NaN).toFixed(2)),
      }
      rows[name] = row
      record({ measure: "cluster", name, ...row })
    }
    console.log("\nprocessor time a forward, in one host and across two")
    console.table(rows)
  } finally {
    await Promise.all(children.map((child) => child.stop()))
    process.off("exit", end)
    await nats.stop()
  }
}

/** Processor milliseconds of a process that is not ours; Linux counts in hundredths of a second. */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
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
        const received = async (): Promise<number> => metric(server, "dunlin_messages_in_total")
        const before = await settledUsage(server)
        const receivedBefore = await received()
        await honest.call("startTalk", { url })
        const figures = await driver.call<StormFigures>("storm", { port, frames, seed: 1000 })
        const talk = await honest.call<TalkFigures>("stopTalk")
        const during = await usage(server)
        const after = await settledUsage(server)
        const row = {
          frames: figures.frames,
          connections: figures.connections,
          framesRead: (await received()) - receivedBefore - talk.sent,
          seconds: Math.round(figures.seconds),
          alive: server.alive,
          rssGrowthMiB: Number(((after.rssBytes - before.rssBytes) / 2 ** 20).toFixed(1)),
          rssGrowthBeforeGcMiB: Number(((during.rssBytes - before.rssBytes) / 2 ** 20).toFixed(1)),
          handlerErrors: await metric(server, "dunlin_handler_errors_total"),
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

async function metric(server: BenchChild, name: string): Promise<number> {
  const text = await (await fetch(`${await server.call<string>("operationsUrl")}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1] ?? 0)
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
  out.add({ ...line, load: loadavg()[0] })
}
