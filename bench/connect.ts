// `npm run bench -- connect`: how soon peers are connected and how well the connection is used, compared with y-webrtc
// and the bare data channel. Browsers and peers run in processes of their own, all on loopback.
import { createInvite } from "@dunlin/core"
import { createHarness, type Harness } from "../e2e/browser/harness.ts"
import type { ChildPeer } from "../e2e/browser/harness/child-peer.ts"
import { BUILT } from "./built.ts"
import { createFigures } from "./figures.ts"
import { spawnChild } from "./host/child-calls.ts"
import { median, quantile } from "./quantile.ts"
import type { SuiteOptions } from "./run-suite.ts"

type Page = typeof import("./connect/dunlin-page.ts")
type Peer = typeof import("./connect/peer-child.ts")

/** Round trips before the first that counts: people do not wait for code that is not compiled yet. */
const WARM_UP = 300
/** The runtime keeps compiling for a few thousand round trips. */
const WARM_LATER = 4_000
const figures = createFigures("connect")
const peerModule = new URL("./connect/peer-child.ts", import.meta.url)

export async function run({ quick }: SuiteOptions): Promise<void> {
  figures.begin()
  await using harness = createHarness()
  await comparePages(harness, quick ? 5 : 15)
  await measureNodePairs(harness, quick ? 20 : 100)
  await compareRoundTrips(harness, quick ? 100 : 500)
  await compareThroughput(harness, quick ? 3 : 5, quick ? 24 : 64)
  console.log(`JSON lines: ${figures.file}`)
}

/** A page starts in a fresh profile and waits for an entry that another profile holds. */
async function comparePages(harness: Harness, rounds: number): Promise<void> {
  const theirServer = await spawnChild("server-child.ts", ["y-webrtc", "{}"])
  try {
    const [ourSite, theirSite] = [
      await harness.site(new URL("./connect/dunlin-page.ts", import.meta.url)),
      await harness.site(new URL("./connect/y-webrtc-page.ts", import.meta.url)),
    ]
    const resident = await harness.chromium()
    const newcomer = await harness.chromium()
    const invite = createInvite()
    const ourUrl = (await harness.host()).url
    const theirUrl = await theirServer.call<string>("url")
    await resident.open<Page>(ourSite, `#${invite}|${ourUrl}|write`)
    await resident.open<Page>(theirSite, `#room|${theirUrl}|write`)
    const visit = async (site: typeof ourSite, hash: string): Promise<number> => {
      const tab = await newcomer.open<Page>(site, hash)
      const ms = await tab.call("waitForSync")
      if (process.env["BENCH_TIMELINE"] !== undefined) console.log((await tab.call("timeline")).join("\n"))
      await tab.close()
      // Gives the page that stays time to notice before the next one arrives.
      await new Promise((resolve) => setTimeout(resolve, 300))
      return ms
    }
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const pair = [
        await visit(ourSite, `#${invite}|${ourUrl}|`),
        await visit(theirSite, `#room|${theirUrl}|`),
      ] as const
      // The first round warms the caches of code and browser for both candidates.
      if (round === 0) continue
      ours.push(pair[0])
      theirs.push(pair[1])
    }
    report("page start to first synced entry, Chromium, ms", {
      dunlin: { p50: median(ours), p95: p95(ours) },
      "y-webrtc": { p50: median(theirs), p95: p95(theirs) },
    })
    await Promise.all([resident.close(), newcomer.close()])
  } finally {
    await theirServer.stop()
  }
}

async function withPeers<T>(
  harness: Harness,
  work: (one: ChildPeer<Peer>, two: ChildPeer<Peer>, url: string) => Promise<T>,
): Promise<T> {
  // Everything here comes from one address, far more often than a host accepts from one.
  const args = ["--address-connections-per-second", "1000", "--address-connection-burst", "1000"]
  const url = (await harness.host({ args })).url
  const [one, two] = [
    await harness.peer<Peer>(peerModule, BUILT),
    await harness.peer<Peer>(peerModule, BUILT),
  ]
  try {
    return await work(one, two, url)
  } finally {
    await Promise.all([one.close(), two.close()])
  }
}

async function measureNodePairs(harness: Harness, rounds: number): Promise<void> {
  const times = await withPeers(harness, async (one, two, url) => {
    const all: number[] = []
    for (let round = 0; round <= rounds; round++) {
      const invite = createInvite()
      const pair = await Promise.all([one.call("join", invite, url), two.call("join", invite, url)])
      if (round > 0) all.push(Math.max(...pair))
      await Promise.all([one.call("leave"), two.call("leave")])
    }
    return all
  })
  report(`Node pairs, opening a room to a live link, ${rounds} set-ups, ms`, {
    dunlin: { p50: median(times), p95: p95(times), max: Math.max(...times) },
  })
}

async function connectRaw(one: ChildPeer<Peer>, two: ChildPeer<Peer>): Promise<void> {
  const answer = await two.call("rawAnswer", await one.call("rawOffer"))
  await one.call("rawConnect", answer)
}

/** Bare messages, numbers and documents in turn: soon after the start, and again once the runtime has compiled all. */
async function compareRoundTrips(harness: Harness, count: number): Promise<void> {
  await withPeers(harness, async (one, two, url) => {
    await connectRaw(one, two)
    await one.call("rawPing", WARM_UP, 64)
    const invite = createInvite()
    await Promise.all([one.call("join", invite, url), two.call("join", invite, url)])
    await Promise.all([one.call("openNumbers"), two.call("openNumbers")])
    await two.call("echo")
    await two.call("echoNumbers")
    await one.call("ping", WARM_UP)
    await one.call("pingNumbers", WARM_UP)
    await measureRoundTrips([one, two], `${WARM_UP} of them before`, count)
    const before = WARM_LATER - WARM_UP - count
    await one.call("rawPing", before, 64, 0)
    await one.call("ping", before, 0)
    await one.call("pingNumbers", before, 0)
    await measureRoundTrips([one, two], `${WARM_LATER} of them before`, count)
  })
}

async function measureRoundTrips(
  peers: readonly [ChildPeer<Peer>, ChildPeer<Peer>],
  when: string,
  count: number,
): Promise<void> {
  const [one] = peers
  // In slices and in turn, so that other load on the machine affects all of them alike.
  const raw: Costly<readonly number[]>[] = []
  const numbers: Costly<readonly number[]>[] = []
  const documents: Costly<readonly number[]>[] = []
  for (let slice = 0; slice < 5; slice++) {
    raw.push(await costing(peers, () => one.call("rawPing", count / 5, 64)))
    documents.push(await costing(peers, () => one.call("ping", count / 5)))
    numbers.push(await costing(peers, () => one.call("pingNumbers", count / 5)))
  }
  const figuresOf = (slices: readonly Costly<readonly number[]>[]): Readonly<Record<string, number>> => {
    const times = slices.flatMap(({ value }) => value)
    return { p50: median(times), p95: p95(times), cpu: sumOfCpu(slices) / times.length }
  }
  const title = `round trip of a small change, ${when}, ms; cpu: of both peers, for one`
  report(`${title}: a number, the least that a room replicates`, {
    "raw channel": figuresOf(raw),
    dunlin: figuresOf(numbers),
  })
  report(`${title}: a JSON document`, { "raw channel": figuresOf(raw), dunlin: figuresOf(documents) })
}

interface Costly<T> {
  readonly value: T
  readonly cpuMs: number
}

/** Also measures the CPU time that the peers use meanwhile. */
async function costing<T>(peers: readonly ChildPeer<Peer>[], work: () => Promise<T>): Promise<Costly<T>> {
  const used = async (): Promise<number> => {
    const each = await Promise.all(peers.map((peer) => peer.call("cpuMs")))
    return each.reduce((sum, ms) => sum + ms, 0)
  }
  const before = await used()
  const value = await work()
  return { value, cpuMs: (await used()) - before }
}

function sumOfCpu(runs: readonly Costly<unknown>[]): number {
  return runs.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
}

async function compareThroughput(harness: Harness, rounds: number, megabytes: number): Promise<void> {
  const entryBytes = 32_768
  const count = Math.round((megabytes * 1e6) / entryBytes)
  const total = count * entryBytes
  const raw: Costly<number>[] = []
  const ours: Costly<number>[] = []
  for (let round = 0; round < rounds; round++) {
    await withPeers(harness, async (one, two, url) => {
      await connectRaw(one, two)
      await two.call("rawCount")
      raw.push(
        await costing([one, two], async () => {
          const receiving = two.call("rawReceive", total)
          await one.call("rawSend", total, 65_536)
          return total / 1e3 / (await receiving)
        }),
      )
      await Promise.all([one.call("rawClose"), two.call("rawClose")])

      const invite = createInvite()
      await one.call("open", invite, url)
      await one.call("fill", count, entryBytes)
      await two.call("open", invite, url)
      ours.push(await costing([one, two], async () => total / 1e3 / (await two.call("receive", count))))
    })
  }
  const figuresOf = (runs: readonly Costly<number>[]): Readonly<Record<string, number>> => ({
    p50: median(runs.map(({ value }) => value)),
    "cpu ms/MB": sumOfCpu(runs) / runs.length / (total / 1e6),
  })
  report(`throughput of ${megabytes} MB in entries of 32 KiB, MB/s (median of ${rounds})`, {
    "raw channel": figuresOf(raw),
    dunlin: figuresOf(ours),
  })
}

function report(title: string, rows: Readonly<Record<string, Readonly<Record<string, number>>>>): void {
  const ours = rows["dunlin"] ?? {}
  console.log(`\n${title}`)
  console.table(
    Object.fromEntries(
      Object.entries(rows).map(([name, row]) => {
        figures.add({ measure: title, name, ...row })
        const shown = Object.entries(row).flatMap(([figure, value]) => {
          const rounded = [figure, Number(value.toFixed(2))] as const
          if (name === "dunlin") return [rounded]
          const ratio = (ours[figure] ?? Number.NaN) / value
          return [rounded, [`dunlin ÷ ${figure}`, Number(ratio.toFixed(2))] as const]
        })
        return [name, Object.fromEntries(shown)]
      }),
    ),
  )
}

function p95(values: readonly number[]): number {
  return quantile(values, 0.95) ?? Number.NaN
}
