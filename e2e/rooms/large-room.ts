import { createInvite } from "@dunlin/core"
import type { Harness } from "../browser/harness.ts"
import type { ChildPeer } from "../browser/harness/child-peer.ts"
import type { RemoteModule } from "../browser/harness/remote-module.ts"

type Peer = typeof import("./large-room-peer.ts")
type Member = RemoteModule<Peer>

export interface LargeRoomPlan {
  /** Processes of their own. */
  readonly nodePeers: number
  /** Pages, each in a Chromium of its own. */
  readonly pages: number
  /** Writes measured once the links have settled. */
  readonly writes: number
  /** Node peers that are killed, and as many that leave; each is replaced while others write. */
  readonly churn: number
}

export interface LargeRoomFigures {
  readonly peers: number
  /** From the first join until everyone holds everyone's first entry. */
  readonly togetherMs: number
  readonly linksMean: number
  readonly linksMax: number
  /** Payloads per peer and write; null if links changed during every attempt. */
  readonly receptions: number | null
  /** In both directions over all links, per peer and write; heartbeats included. */
  readonly bytesPerPeerAndWrite: number | null
  readonly reachMs: { readonly p50: number; readonly max: number }
  /** Time after the churn until everyone holds the same. */
  readonly convergedAfterMs: number | null
}

const STARTED_AT_ONCE = 3
const TOGETHER_LIMIT_MS = 120_000
const CONVERGE_LIMIT_MS = 120_000
const SETTLE_LIMIT_MS = 60_000
/** Surplus links are given up at one per second, starting 5 s after the last change. */
const UNCHANGED_MS = 6_000
const WARM_WRITES = 30
const MEASURE_ATTEMPTS = 3

/** Measures a room with more real peers than each one links to; all on this machine. */
export async function measureLargeRoom(harness: Harness, plan: LargeRoomPlan): Promise<LargeRoomFigures> {
  const host = await harness.host({
    args: ["--address-connection-burst", "1000", "--address-max-connections", "1000"],
  })
  const startPeer = (): Promise<ChildPeer<Peer>> =>
    harness.peer<Peer>(new URL("./large-room-peer.ts", import.meta.url))
  const nodes = await startedInTurn(plan.nodePeers, startPeer)
  const pages = plan.pages === 0 ? [] : await openPages(harness, plan.pages)
  const invite = createInvite()
  let joined = 0
  const join = (member: Member): Promise<void> => member.call("join", invite, host.url, `hello-${joined++}`)

  let members: Member[] = [...nodes, ...pages]
  const startedAt = performance.now()
  await Promise.all(members.map(join))
  await untilAll(members, (member) => member.call("keyCount"), members.length, TOGETHER_LIMIT_MS, "entries")
  const togetherMs = performance.now() - startedAt

  const linkCounts = await settledLinks(members)
  // The first writes form the tree: duplicates prune the links that bring nothing else.
  for (let write = 0; write < WARM_WRITES; write++) {
    await memberAt(members, write).call("write", `warm-${write}`)
    await pause(30)
  }
  const measured = await measureWrites(members, plan.writes)
  const figures = {
    peers: members.length,
    togetherMs,
    linksMean: sum(linkCounts) / linkCounts.length,
    linksMax: Math.max(...linkCounts),
    ...measured,
  }
  if (plan.churn === 0) return { ...figures, convergedAfterMs: null }

  const [killed, leaving] = [nodes.slice(0, plan.churn), nodes.slice(plan.churn, 2 * plan.churn)]
  const staying = members.filter((member) => !killed.some((one) => one === member))
  const writing = writeOnAndOn(staying.slice(-5))
  for (const [index, victim] of killed.entries()) {
    await victim.kill()
    const returning = leaving[index]
    await returning?.call("leave")
    const [newcomer] = await Promise.all([startPeer(), returning === undefined ? null : join(returning)])
    await join(newcomer)
    staying.push(newcomer)
  }
  members = staying
  await writing.end()
  const healedAt = performance.now()
  await untilEqual(members)
  return { ...figures, convergedAfterMs: performance.now() - healedAt }
}

async function openPages(harness: Harness, count: number): Promise<Member[]> {
  const site = await harness.site(new URL("./large-room-page.ts", import.meta.url))
  return await startedInTurn(count, async () => (await harness.chromium()).open<Peer>(site))
}

/** Polls until no link has come or gone for a while. */
async function settledLinks(members: readonly Member[]): Promise<readonly number[]> {
  const deadline = performance.now() + SETTLE_LIMIT_MS
  let unchangedSince = performance.now()
  let links = await linksOf(members)
  while (performance.now() - unchangedSince < UNCHANGED_MS && performance.now() < deadline) {
    await pause(500)
    const now = await linksOf(members)
    if (now !== links) unchangedSince = performance.now()
    links = now
  }
  return await Promise.all(members.map((member) => member.call("linkCount")))
}

async function linksOf(members: readonly Member[]): Promise<string> {
  const traffic = await Promise.all(members.map((member) => member.call("traffic")))
  return traffic.map(({ sessions }) => sessions.join()).join(" ")
}

/** Only open links are counted, so a measurement during which a link comes or goes is repeated. */
async function measureWrites(
  members: readonly Member[],
  writes: number,
): Promise<Pick<LargeRoomFigures, "receptions" | "bytesPerPeerAndWrite" | "reachMs">> {
  const reach: number[] = []
  for (let attempt = 0; attempt < MEASURE_ATTEMPTS; attempt++) {
    const links = await linksOf(members)
    const before = await totals(members)
    const keys: string[] = []
    for (let write = 0; write < writes; write++) {
      const key = `measured-${attempt}-${write}`
      keys.push(key)
      const wroteAt = Date.now()
      await memberAt(members, write * 7).call("write", key)
      reach.push((await lastArrival(members, key)) - wroteAt)
    }
    const after = await totals(members)
    if ((await linksOf(members)) !== links) continue
    return {
      receptions: (after.entriesIn - before.entriesIn) / (writes * (members.length - 1)),
      bytesPerPeerAndWrite: (after.bytes - before.bytes) / 2 / (writes * members.length),
      reachMs: spread(reach),
    }
  }
  return { receptions: null, bytesPerPeerAndWrite: null, reachMs: spread(reach) }
}

async function totals(members: readonly Member[]): Promise<{ entriesIn: number; bytes: number }> {
  const traffic = await Promise.all(members.map((member) => member.call("traffic")))
  return {
    entriesIn: sum(traffic.map(({ entriesIn }) => entriesIn)),
    bytes: sum(traffic.map(({ bytes }) => bytes)),
  }
}

async function lastArrival(members: readonly Member[], key: string): Promise<number> {
  const deadline = performance.now() + TOGETHER_LIMIT_MS
  for (;;) {
    const arrivals = (await Promise.all(members.map((member) => member.call("arrivals", [key])))).flat()
    const known = arrivals.filter((at) => at !== null)
    if (known.length === arrivals.length) return Math.max(...known)
    if (performance.now() > deadline) throw new Error(`${key} did not reach everyone`)
    await pause(20)
  }
}

function writeOnAndOn(authors: readonly Member[]): { end(): Promise<void> } {
  let ended = false
  const write = async (): Promise<void> => {
    for (let write = 0; !ended; write++) {
      await memberAt(authors, write).call("write", `churn-${write % 40}`)
      await pause(100)
    }
  }
  const done = write()
  return {
    async end() {
      ended = true
      await done
    },
  }
}

async function untilEqual(members: readonly Member[]): Promise<void> {
  const deadline = performance.now() + CONVERGE_LIMIT_MS
  for (;;) {
    const hashes = await Promise.all(members.map((member) => member.call("contentHash")))
    if (new Set(hashes).size === 1) return
    if (performance.now() > deadline) throw new Error(await storyOf(members, "not equal"))
    await pause(100)
  }
}

async function untilAll(
  members: readonly Member[],
  ask: (member: Member) => Promise<number>,
  wanted: number,
  limitMs: number,
  what: string,
): Promise<void> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const counts = await Promise.all(members.map(ask))
    if (counts.every((count) => count >= wanted)) return
    if (performance.now() > deadline) throw new Error(await storyOf(members, `${what}: ${counts.join()}`))
    await pause(50)
  }
}

async function storyOf(members: readonly Member[], what: string): Promise<string> {
  const stories = await Promise.all(
    members.map(async (member) => {
      const [keys, links, hash] = [
        await member.call("keyCount"),
        await member.call("linkCount"),
        await member.call("contentHash"),
      ]
      const story = await member.call("story")
      return `${keys} keys, ${links} links, ${hash.slice(0, 8)}\n${story.slice(-4).join("\n")}`
    }),
  )
  return `${what} after all that time\n${stories.join("\n")}`
}

async function startedInTurn<Started>(count: number, start: () => Promise<Started>): Promise<Started[]> {
  const started: Started[] = []
  while (started.length < count) {
    const batch = Math.min(STARTED_AT_ONCE, count - started.length)
    started.push(...(await Promise.all(Array.from({ length: batch }, start))))
  }
  return started
}

function memberAt(members: readonly Member[], at: number): Member {
  const member = members[at % members.length]
  if (member === undefined) throw new Error("the room has no members")
  return member
}

function spread(numbers: readonly number[]): { readonly p50: number; readonly max: number } {
  const sorted = numbers.toSorted((a, b) => a - b)
  return { p50: sorted[Math.floor(sorted.length / 2)] ?? 0, max: sorted.at(-1) ?? 0 }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
