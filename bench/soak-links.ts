import { setTimeout as pause } from "node:timers/promises"
import { createInvite } from "@dunlin/core"
import { createSeededRandom } from "@dunlin/core/testing"
import { createHarness, type Harness } from "../e2e/browser/harness.ts"
import type { ChildPeer } from "../e2e/browser/harness/child-peer.ts"
import type { HostProcess } from "../e2e/browser/harness/host-process.ts"
import type { SuiteOptions } from "./run-suite.ts"

type Peer = ChildPeer<typeof import("../e2e/rooms/counted-peer.ts")>

interface Seat {
  peer: Peer
  /** What its process has written. Nobody may have lost it once the process has been linked again. */
  written: string[]
  isStopped: boolean
  /** Calls to it that are under way. */
  busy: number
}

const SEATS = 5
/** How often everything is left alone and checked. */
const ROUNDS = 3
/** The longest back-off of a call is two minutes, and a stopped process notices what it missed in less than one more. */
const LINKED_WITHIN_MS = 180_000
const EXITS_WITHIN_MS = 10_000

/**
 * Peers and their host are killed, stopped and started at random. Then all must be linked, once each, and hold the same.
 * `SOAK_SEED` chooses the faults, though not the moment at which they hit; `SOAK_LOG=1` names each.
 */
export async function run({ quick }: SuiteOptions): Promise<void> {
  const minutes = Number(process.env["SOAK_MINUTES"] ?? (quick ? 1 : 10))
  const seed = process.env["SOAK_SEED"] ?? String(Date.now() % 100_000)
  console.log(`SOAK_SEED=${seed} SOAK_MINUTES=${minutes}`)
  const random = createSeededRandom(seed)
  await using harness = createHarness()
  const world = await createWorld(harness)
  const counts: Record<string, number> = {}
  const actions = createActions(world, random)
  for (let round = 0; round < ROUNDS; round++) {
    const end = performance.now() + (minutes * 60_000) / ROUNDS
    while (performance.now() < end) {
      const name = random.pick(Object.keys(actions))
      counts[name] = (counts[name] ?? 0) + 1
      if (process.env["SOAK_LOG"] !== undefined) console.log(new Date().toISOString(), name)
      await actions[name]?.()
      await pause(random.below(1_500))
    }
    await calm(world)
    console.table(counts)
  }
  await leaveAll(world)
}

interface World {
  readonly harness: Harness
  readonly invite: string
  readonly url: string
  readonly seats: Seat[]
  host: HostProcess | null
  startHost(): Promise<void>
  spawn(): Promise<Peer>
  readonly later: Set<Promise<unknown>>
}

async function createWorld(harness: Harness): Promise<World> {
  const first = await harness.host()
  const invite = createInvite()
  const world: World = {
    harness,
    invite,
    url: first.url,
    host: first,
    seats: [],
    later: new Set(),
    async startHost() {
      world.host ??= await harness.host({ port: first.port })
    },
    async spawn() {
      const module = new URL("../e2e/rooms/counted-peer.ts", import.meta.url)
      const peer: Peer = await harness.peer(module, { nodeArgs: ["--expose-gc"] })
      await peer.call("join", invite, first.url)
      return peer
    },
  }
  for (let at = 0; at < SEATS; at++) {
    world.seats.push({ peer: await world.spawn(), written: [], isStopped: false, busy: 0 })
  }
  return world
}

function createActions(world: World, random: ReturnType<typeof createSeededRandom>) {
  let lastKey = 0
  const awake = (): Seat[] => world.seats.filter(({ isStopped }) => !isStopped)
  const later = (doing: Promise<unknown>): void => {
    const settled = doing.finally(() => world.later.delete(settled))
    settled.catch((error: unknown) => console.error("an action failed:", error))
    world.later.add(settled)
  }
  const call = (seat: Seat, doing: Promise<unknown>): void => {
    seat.busy++
    later(doing.finally(() => seat.busy--))
  }
  const write = async (): Promise<void> => {
    for (const seat of awake()) {
      const key = `key ${lastKey++}`
      await seat.peer.call("write", key)
      seat.written.push(key)
    }
  }
  const hostGone = async (ms: number): Promise<void> => {
    await pause(ms)
    await world.startHost()
  }
  return {
    write,
    "write much": async () => {
      for (let n = 0; n < 10; n++) await write()
    },
    "kill host": async () => {
      const { host } = world
      if (host === null) return
      await host.kill()
      world.host = null
      later(hostGone(random.pick([0, 500, 3_000, 20_000])))
    },
    "drain host": async () => {
      const { host } = world
      if (host === null) return
      await host.close()
      world.host = null
      later(hostGone(random.pick([0, 500, 3_000])))
    },
    "stop host": async () => {
      const { host } = world
      if (host === null) return
      process.kill(host.pid, "SIGSTOP")
      await pause(random.pick([50, 1_000, 4_000]))
      process.kill(host.pid, "SIGCONT")
    },
    "kill peer": async () => {
      const seat = random.pick(world.seats)
      if (seat.isStopped || seat.busy > 0) return
      await seat.peer.kill()
      seat.written = []
      seat.peer = await world.spawn()
    },
    "stop peer": async () => {
      const seat = random.pick(world.seats)
      if (seat.isStopped || seat.busy > 0 || awake().length < 3) return
      seat.isStopped = true
      const { pid } = seat.peer
      process.kill(pid, "SIGSTOP")
      const resume = async (ms: number): Promise<void> => {
        await pause(ms)
        process.kill(pid, "SIGCONT")
        seat.isStopped = false
      }
      later(resume(random.pick([100, 2_000, 7_000, 20_000, 45_000, 60_000])))
    },
    flicker: async () => {
      const seat = random.pick(awake())
      const lifetimes = Array.from({ length: 1 + random.below(5) }, () =>
        random.pick([0, 5, 30, 100, 400, 1_500]),
      )
      call(seat, seat.peer.call("flicker", lifetimes))
    },
    reopen: async () => {
      const seat = random.pick(awake())
      if (seat.busy > 0) return
      await seat.peer.call("reopen")
    },
    reconnect: async () => {
      await random.pick(awake()).peer.call("reconnect", random.pick([1, 3, 20]))
    },
  } satisfies Record<string, () => Promise<void>> as Record<string, () => Promise<void>>
}

/** Everything runs again; throws unless all find each other. */
async function calm(world: World): Promise<void> {
  while (world.later.size > 0) await Promise.all(world.later)
  await world.startHost()
  const started = performance.now()
  const wanted = new Set(world.seats.flatMap(({ written }) => written))
  for (;;) {
    const problem = await findProblem(world, wanted)
    const took = performance.now() - started
    if (problem === null) {
      console.log(`all linked and equal after ${(took / 1000).toFixed(1)} s`)
      break
    }
    if (took > LINKED_WITHIN_MS) {
      for (const { peer } of world.seats) {
        console.error(JSON.stringify(await peer.call("facts")))
        console.error((await peer.call("diagnostics")).slice(-60).join("\n"))
      }
      throw new Error(`${LINKED_WITHIN_MS / 1000} s after all was well: ${problem}`)
    }
    await pause(200)
  }
  await pause(3_000)
  for (const { peer } of world.seats) {
    const before = await peer.call("facts")
    await pause(2_000)
    const { connections, heapBytes, rssBytes, cpuMs } = await peer.call("facts")
    console.log({
      connections: connections.join(),
      heapMiB: heapBytes >> 20,
      rssMiB: rssBytes >> 20,
      cpuMs: cpuMs - before.cpuMs,
    })
    if (connections.length !== SEATS - 1)
      throw new Error(`${connections.length} connections for ${SEATS - 1} peers`)
  }
}

async function findProblem({ seats }: World, wanted: ReadonlySet<string>): Promise<string | null> {
  const facts = await Promise.all(seats.map(({ peer }) => peer.call("facts")))
  const sessions = facts.map(({ session }) => session).toSorted()
  for (const { session, peers, status } of facts) {
    const linked = [session, ...peers.map((peer) => peer.session)].toSorted()
    if (linked.join() !== sessions.join())
      return `${session} is linked to ${peers.map((one) => one.session).join()}`
    if (status?.phase !== "connected" || status.problem !== null)
      return `the status is ${JSON.stringify(status)}`
  }
  const contents = await Promise.all(seats.map(({ peer }) => peer.call("keys")))
  const [first = []] = contents
  if (contents.some((keys) => keys.join() !== first.join())) return "they hold different things"
  const held = new Set(first)
  const lost = [...wanted].filter((key) => !held.has(key))
  return lost.length === 0 ? null : `lost: ${lost.join()}`
}

async function leaveAll({ seats }: World): Promise<void> {
  for (const { peer } of seats) {
    const connections = await peer.call("leave")
    const started = performance.now()
    while (isAlive(peer.pid)) {
      if (performance.now() - started > EXITS_WITHIN_MS)
        throw new Error(`A process with a closed room does not end.\n${peer.output().join("\n")}`)
      await pause(50)
    }
    console.log(
      `ended ${Math.round(performance.now() - started)} ms after its room, with ${connections} connections`,
    )
    if (connections > 0) throw new Error("A closed room has connections.")
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
